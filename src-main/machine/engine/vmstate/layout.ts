// SPDX-License-Identifier: Apache-2.0
/** Sizes of fields and tables on the wire, and how a state object is walked. */
import { SCALARS } from './scalar.ts';
import type { ArrayField, Field, SubsectionShape, TableShape } from './table.ts';

/** A state object while its table is interpreted. */
export type Values = Record<string, unknown>;

/** Type byte of a subsection, in front of its counted name and its version. */
export const SUBSECTION_TYPE = 0x05;
/** Type byte and length byte before a subsection's name. */
export const SUBSECTION_PREFIX_BYTES = 2;
/** The version after it. */
export const SUBSECTION_VERSION_BYTES = 4;

/** Size of a field that has the same size in every state, or undefined where subsections make it vary. */
export function fixedFieldSize(field: Field): number | undefined {
  switch (field.kind) {
    case 'scalar':
      return SCALARS[field.type].size;
    case 'buffer':
    case 'unused':
      return field.size;
    case 'struct':
    case 'inline':
      return fixedTableSize(field.table);
    case 'array': {
      const element = typeof field.element === 'string' ? SCALARS[field.element].size : fixedTableSize(field.element);
      return element === undefined ? undefined : element * field.length;
    }
  }
}

function fixedTableSize(table: TableShape): number | undefined {
  if (table.subsections.length > 0) return undefined;
  let size = 0;
  for (const field of table.fields) {
    const fieldSize = fixedFieldSize(field);
    if (fieldSize === undefined) return undefined;
    size += fieldSize;
  }
  return size;
}

export function fieldSize(field: Field, values: Values): number {
  const fixed = fixedFieldSize(field);
  if (fixed !== undefined) return fixed;
  switch (field.kind) {
    case 'struct':
      return tableSize(field.table, values[field.key] as Values);
    case 'inline':
      return tableSize(field.table, values);
    case 'array':
      return (values[field.key] as Values[]).reduce((sum, item) => sum + elementSize(field, item), 0);
    case 'scalar':
    case 'buffer':
    case 'unused':
      throw new Error(`field ${field.name} has no size`);
  }
}

export function elementSize(field: ArrayField, item: unknown): number {
  return typeof field.element === 'string' ? SCALARS[field.element].size : tableSize(field.element, item as Values);
}

/** Bytes of a table's fields and of the subsections that its state needs. */
export function tableSize(table: TableShape, values: Values): number {
  let size = 0;
  for (const field of table.fields) size += fieldSize(field, values);
  for (const { table: inner } of neededSubsections(table, values)) {
    size += SUBSECTION_PREFIX_BYTES + inner.name.length + SUBSECTION_VERSION_BYTES + tableSize(inner, values);
  }
  return size;
}

/** The subsections that are in the stream for this state, in their order. */
export function neededSubsections(table: TableShape, values: Values): SubsectionShape[] {
  return table.subsections.filter((subsection) => subsection.needed(values as never));
}
