// SPDX-License-Identifier: Apache-2.0
/**
 * A section as data: one table from which saver, loader, the stream's description (vmdesc) and inspect derive.
 *
 * State is a plain object: bigint for 64-bit fields, number for narrower ones, boolean, Uint8Array for buffers, arrays
 * for arrays, objects for structs. The fields of subsections lie beside those of their parent, so a condition can look
 * at the whole state; a subsection that a stream does not hold leaves its fields at their defaults.
 */
import type { ScalarType } from './scalar.ts';

export interface ScalarField<K extends string = string, V = unknown> {
  readonly kind: 'scalar';
  readonly key: K;
  readonly name: string;
  readonly type: ScalarType;
  /** Never present: carries the type of the state. */
  readonly state?: V;
}

export interface BufferField<K extends string = string> {
  readonly kind: 'buffer';
  readonly key: K;
  readonly name: string;
  readonly size: number;
}

/** Bytes that are written as zeros and skipped on load. */
export interface UnusedField {
  readonly kind: 'unused';
  readonly name: string;
  readonly size: number;
}

export interface StructField<K extends string = string, V = unknown> {
  readonly kind: 'struct';
  readonly key: K;
  readonly name: string;
  readonly table: TableShape;
  readonly state?: V;
}

/** A table whose fields belong to the surrounding object; the description calls it `tmp`. */
export interface InlineField<V = unknown> {
  readonly kind: 'inline';
  readonly name: string;
  readonly table: TableShape;
  readonly state?: V;
}

/** How a description shows an array: one description and a count, or each element with its index. */
export type ArrayNotation = 'array_len' | 'index';

export interface ArrayField<K extends string = string, V = unknown> {
  readonly kind: 'array';
  readonly key: K;
  readonly name: string;
  readonly length: number;
  readonly element: ScalarType | TableShape;
  readonly notation: ArrayNotation;
  readonly state?: V;
}

export type Field = ScalarField | BufferField | UnusedField | StructField | InlineField | ArrayField;

/** A table without its state's type: what the interpreters work on. */
export interface TableShape {
  readonly name: string;
  readonly version: number;
  readonly minimumVersion: number;
  readonly fields: readonly Field[];
  readonly subsections: readonly SubsectionShape[];
  /** Run after loading: what is wrong with the state, as the end of a sentence, or undefined. */
  readonly check: ((state: never) => string | undefined) | undefined;
}

export interface SubsectionShape {
  readonly table: TableShape;
  /** Whether this state needs the subsection: it is saved only then. */
  readonly needed: (state: never) => boolean;
  /** Values of its fields when a stream does not hold it. */
  readonly defaults: object;
}

export interface Table<S extends object> extends TableShape {
  readonly state?: S;
}

export interface Subsection<S extends object> extends SubsectionShape {
  readonly state?: S;
}

type ToIntersection<U> = (U extends unknown ? (x: U) => void : never) extends (x: infer I) => void ? I : never;
type Flat<T> = { [K in keyof T]: T[K] };

type FieldState<F> =
  F extends ScalarField<infer K, infer V>
    ? { [P in K]: V }
    : F extends BufferField<infer K>
      ? { [P in K]: Uint8Array }
      : F extends StructField<infer K, infer V>
        ? { [P in K]: V }
        : F extends ArrayField<infer K, infer V>
          ? { [P in K]: V[] }
          : F extends InlineField<infer V>
            ? V
            : never;

type SubsectionState<U> = U extends Subsection<infer S> ? S : unknown;

/** The state object that a list of fields describes. */
export type StateOf<F extends readonly Field[]> = Flat<ToIntersection<FieldState<F[number]>>>;

type WholeState<F extends readonly Field[], U extends readonly SubsectionShape[]> = Flat<
  ToIntersection<FieldState<F[number]>> & (U extends readonly [] ? unknown : ToIntersection<SubsectionState<U[number]>>)
>;

/** The state object of a table: `type CpuState = TableState<typeof cpuTable>`. */
export type TableState<T> = T extends Table<infer S> ? S : never;

export function defineTable<const F extends readonly Field[], const U extends readonly SubsectionShape[] = []>(spec: {
  readonly name: string;
  readonly version: number;
  /** Oldest version that can be loaded; the version itself where absent. */
  readonly minimumVersion?: number;
  readonly fields: F;
  readonly subsections?: U;
  readonly check?: (state: WholeState<F, U>) => string | undefined;
}): Table<WholeState<F, U>> {
  return {
    name: spec.name,
    version: spec.version,
    minimumVersion: spec.minimumVersion ?? spec.version,
    fields: spec.fields,
    subsections: spec.subsections ?? [],
    check: spec.check,
  };
}

/** A subsection's full name is its parent's, a slash, and its own. */
export function defineSubsection<const F extends readonly Field[]>(spec: {
  readonly name: string;
  readonly version?: number;
  readonly fields: F;
  readonly defaults: StateOf<F>;
  readonly needed: (state: StateOf<F>) => boolean;
}): Subsection<StateOf<F>> {
  const version = spec.version ?? 1;
  return {
    table: {
      name: spec.name,
      version,
      minimumVersion: version,
      fields: spec.fields,
      subsections: [],
      check: undefined,
    },
    needed: spec.needed,
    defaults: spec.defaults,
  };
}
