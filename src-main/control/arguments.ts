// SPDX-License-Identifier: Apache-2.0
/**
 * Argument schemas with QEMU's sentences: a declaration gives the check and the type of its result. Members are checked in
 * the order of the declaration, depth first; members that nobody asked for come last, object by object.
 */
import { toUint64, type Uint64 } from '../../src-shared/migration/uint64.ts';
import { isJsonObject, plainJson, type JsonInput, type JsonObject, type JsonValue } from './json.ts';
import { genericError, type QmpError } from './protocol.ts';

/** Where a value stands: `path` is for most sentences (`channels[0].addr.port`), `name` the last member, none in a list. */
interface Place {
  readonly path: string;
  readonly name: string | undefined;
}

/** Checks a value and gives it in its type, or throws a {@link QmpError} with QEMU's sentence. */
export interface Schema<T> {
  readonly check: (input: JsonInput, place: Place) => T;
}

export interface Optional<T> {
  readonly optional: Schema<T>;
}

/** A schema of an object can be laid into another one that shares its members (a union and its branches). */
export interface ObjectSchema<T> extends Schema<T> {
  /** Checks the members, and removes those that it knows from `unexpected`. */
  readonly checkMembers: (input: JsonObject, place: Place, unexpected: Set<string>) => T;
}

export type Infer<S> = S extends Schema<infer T> ? T : S extends Optional<infer T> ? T : never;
export type Shape = Readonly<Record<string, Schema<unknown> | Optional<unknown>>>;
type Flat<T> = { readonly [K in keyof T]: T[K] };
export type ObjectOf<S extends Shape> = Flat<
  { [K in keyof S as S[K] extends Optional<unknown> ? never : K]: Infer<S[K]> } & {
    [K in keyof S as S[K] extends Optional<unknown> ? K : never]?: Infer<S[K]>;
  }
>;

const wrongType = ({ path }: Place, expected: string): QmpError =>
  genericError(`Invalid parameter type for '${path}', expected: ${expected}`);
const expects = (name: string, type: string): QmpError => genericError(`Parameter '${name}' expects ${type}`);
const memberOf = (place: Place, name: string): Place => ({
  path: place.path === '' ? name : `${place.path}.${name}`,
  name,
});

export const optional = <T>(schema: Schema<T>): Optional<T> => ({ optional: schema });

export const str = (): Schema<string> => ({
  check: (input, place) => {
    if (typeof input !== 'string') throw wrongType(place, 'string');
    return input;
  },
});

export const bool = (): Schema<boolean> => ({
  check: (input, place) => {
    if (typeof input !== 'boolean') throw wrongType(place, 'boolean');
    return input;
  },
});

/** A text, or null. */
export const strOrNull = (): Schema<string | null> => ({
  check: (input, place) => {
    if (typeof input !== 'string' && input !== null) throw wrongType(place, 'StrOrNull');
    return input;
  },
});

const isInteger = (input: JsonInput): input is number | bigint =>
  typeof input === 'bigint' || (typeof input === 'number' && Number.isSafeInteger(input));

/** A signed 64-bit integer: a number while that is exact, a bigint beyond 2^53 - 1. */
export const int = (): Schema<number | bigint> => ({
  check: (input, place) => {
    if (!isInteger(input) || input >= 2n ** 63n) throw wrongType(place, 'integer');
    return input;
  },
});

/** An unsigned 64-bit integer; a negative one wraps. */
export const uint64 = (): Schema<Uint64> => ({
  check: (input, { path }) => {
    const value = isInteger(input) ? toUint64(input) : undefined;
    if (value === undefined) throw expects(path, 'uint64');
    return value;
  },
});

/** An unsigned integer of so many bits. */
export const uint = (bits: 8 | 16 | 32): Schema<number> => ({
  check: (input, place) => {
    const value = uint64().check(input, place);
    if (value >= 2 ** bits) throw expects(place.name ?? 'null', `uint${bits}_t`);
    return Number(value);
  },
});

/** One of some words. The sentence names only the last member, and `null` in a list. */
export const oneOf = <const Words extends readonly string[]>(words: Words): Schema<Words[number]> => ({
  check: (input, place) => {
    const word = str().check(input, place);
    if (!words.includes(word)) {
      throw genericError(`Parameter '${place.name ?? 'null'}' does not accept value '${word}'`);
    }
    return word;
  },
});

export const array = <T>(item: Schema<T>): Schema<readonly T[]> => ({
  check: (input, place) => {
    if (!Array.isArray(input)) throw wrongType(place, 'array');
    return (input as readonly JsonInput[]).map((value, index) =>
      item.check(value, { path: `${place.path}[${index}]`, name: undefined }),
    );
  },
});

/** Any JSON value, as it is. */
export const any = (): Schema<JsonValue> => ({ check: plainJson });

export function object<S extends Shape>(shape: S): ObjectSchema<ObjectOf<S>> {
  return objectSchema((input, place, unexpected) => {
    const result: Record<string, unknown> = {};
    for (const [name, member] of Object.entries(shape)) {
      const value = takeMember(input, place, unexpected, name, member);
      if (value !== undefined) result[name] = value;
    }
    return result as ObjectOf<S>;
  });
}

type Branches = Readonly<Record<string, ObjectSchema<object>>>;
type UnionOf<Tag extends string, B extends Branches> = {
  [K in keyof B & string]: Flat<{ [T in Tag]: K } & Infer<B[K]>>;
}[keyof B & string];

/** An object whose member `tag` says which other members it has. */
export function taggedUnion<const Tag extends string, B extends Branches>(
  tag: Tag,
  branches: B,
): ObjectSchema<UnionOf<Tag, B>> {
  const words = oneOf(Object.keys(branches));
  return objectSchema((input, place, unexpected) => {
    const word = takeMember(input, place, unexpected, tag, words) as string;
    const rest = branches[word]?.checkMembers(input, place, unexpected);
    return { [tag]: word, ...rest } as unknown as UnionOf<Tag, B>;
  });
}

function objectSchema<T>(checkMembers: ObjectSchema<T>['checkMembers']): ObjectSchema<T> {
  return {
    checkMembers,
    check: (input, place) => {
      if (!isJsonObject(input)) throw wrongType(place, 'object');
      const unexpected = new Set(Object.keys(input));
      const result = checkMembers(input, place, unexpected);
      for (const name of unexpected) throw genericError(`Parameter '${memberOf(place, name).path}' is unexpected`);
      return result;
    },
  };
}

function takeMember(
  input: JsonObject,
  place: Place,
  unexpected: Set<string>,
  name: string,
  member: Schema<unknown> | Optional<unknown>,
): unknown {
  unexpected.delete(name);
  const value = input[name];
  const at = memberOf(place, name);
  if ('optional' in member) return value === undefined ? undefined : member.optional.check(value, at);
  if (value === undefined) throw genericError(`Parameter '${at.path}' is missing`);
  return member.check(value, at);
}

/** Checks the `arguments` of a command; `undefined` is no arguments. */
export function checkArguments<T>(schema: ObjectSchema<T>, input: JsonInput | undefined): T {
  return schema.check(input ?? {}, { path: '', name: undefined });
}
