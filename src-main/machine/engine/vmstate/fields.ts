// SPDX-License-Identifier: Apache-2.0
/** Builders of fields. `key` names the value in the state object, `name` is the field's name in the description. */
import type { ScalarType } from './scalar.ts';
import type {
  ArrayField,
  ArrayNotation,
  BufferField,
  InlineField,
  ScalarField,
  StructField,
  Table,
  UnusedField,
} from './table.ts';

interface ScalarValues {
  readonly bool: boolean;
  readonly uint8: number;
  readonly uint16: number;
  readonly uint32: number;
  readonly uint64: bigint;
  readonly int32: number;
  readonly int64: bigint;
  readonly timer: bigint;
}

const scalar =
  <T extends ScalarType>(type: T) =>
  <const K extends string>(key: K, name: string = key): ScalarField<K, ScalarValues[T]> => ({
    kind: 'scalar',
    key,
    name,
    type,
  });

export const bool = scalar('bool');
export const uint8 = scalar('uint8');
export const uint16 = scalar('uint16');
export const uint32 = scalar('uint32');
export const uint64 = scalar('uint64');
export const int32 = scalar('int32');
export const int64 = scalar('int64');
export const timer = scalar('timer');

export function buffer<const K extends string>(key: K, size: number, name: string = key): BufferField<K> {
  return { kind: 'buffer', key, name, size };
}

export function unused(size: number, name = 'unused'): UnusedField {
  return { kind: 'unused', name, size };
}

export function struct<const K extends string, S extends object>(
  key: K,
  table: Table<S>,
  name: string = key,
): StructField<K, S> {
  return { kind: 'struct', key, name, table };
}

export function inline<S extends object>(name: string, table: Table<S>): InlineField<S> {
  return { kind: 'inline', name, table };
}

export function scalarArray<const K extends string, T extends ScalarType>(
  key: K,
  element: T,
  length: number,
  name: string = key,
  notation: ArrayNotation = 'array_len',
): ArrayField<K, ScalarValues[T]> {
  return { kind: 'array', key, name, length, element, notation };
}

export function structArray<const K extends string, S extends object>(
  key: K,
  element: Table<S>,
  length: number,
  name: string = key,
  notation: ArrayNotation = 'array_len',
): ArrayField<K, S> {
  return { kind: 'array', key, name, length, element, notation };
}
