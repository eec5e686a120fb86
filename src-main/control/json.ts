// SPDX-License-Identifier: Apache-2.0
/** JSON as QMP uses it: values with 64-bit integers, and the writer. */

/** A JSON value. Integers beyond 2^53 - 1 are bigints. A member that is `undefined` is not written. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonValue[]
  | { readonly [member: string]: JsonValue | undefined };

/**
 * A number written as a fraction or with an exponent whose value is a whole one, such as `1.0`. QMP refuses it where an
 * integer is meant, so a reader has to be able to tell it from `1`.
 */
export class WholeDouble {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** What the parser gives: as {@link JsonValue}, with {@link WholeDouble}s told apart. Objects have no prototype. */
export type JsonInput = null | boolean | number | bigint | string | WholeDouble | readonly JsonInput[] | JsonObject;
export interface JsonObject {
  readonly [member: string]: JsonInput;
}

export function isJsonObject(value: JsonInput | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof WholeDouble);
}

/** The same value with every {@link WholeDouble} as an ordinary number. */
export function plainJson(input: JsonInput): JsonValue {
  if (input instanceof WholeDouble) return input.value;
  if (Array.isArray(input)) return (input as readonly JsonInput[]).map(plainJson);
  if (!isJsonObject(input)) return input as null | boolean | number | bigint | string;
  const plain = Object.create(null) as Record<string, JsonValue>;
  for (const [member, value] of Object.entries(input)) plain[member] = plainJson(value);
  return plain;
}

/**
 * Writes a value as one line of printable ASCII, bigints as integers, members in their order. Throws a TypeError for what
 * JSON cannot say (a function, NaN, an infinity), a RangeError for a value that contains itself.
 */
export function writeJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return writeString(value);
    case 'bigint':
      return value.toString();
    case 'boolean':
      return value ? 'true' : 'false';
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`${value} is not a JSON number`);
      return Object.is(value, -0) ? '0' : String(value);
    case 'object':
      return writeObject(value);
    case 'undefined':
    case 'function':
    case 'symbol':
      throw new TypeError(`${typeof value} is not a JSON value`);
  }
}

function writeObject(value: object | null): string {
  if (value === null) return 'null';
  if (value instanceof WholeDouble) return writeJson(value.value);
  if (Array.isArray(value)) return `[${(value as readonly unknown[]).map(writeJson).join(', ')}]`;
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) => `${writeString(name)}: ${writeJson(member)}`);
  return `{${members.join(', ')}}`;
}

const NEEDS_ESCAPE = /[^\x20-\x7e]|["\\]/gu;
const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** ASCII only, as QEMU writes: no chunk border can then split a character. Unpaired surrogates become U+FFFD. */
function writeString(text: string): string {
  return `"${text.toWellFormed().replace(NEEDS_ESCAPE, escapeCharacter)}"`;
}

function escapeCharacter(character: string): string {
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  let escaped = '';
  for (let unit = 0; unit < character.length; unit++) {
    escaped += `\\u${character.charCodeAt(unit).toString(16).toUpperCase().padStart(4, '0')}`;
  }
  return escaped;
}
