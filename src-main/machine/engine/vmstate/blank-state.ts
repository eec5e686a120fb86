// SPDX-License-Identifier: Apache-2.0
import type { Values } from './layout.ts';
import type { ScalarType } from './scalar.ts';
import type { Field, Table, TableShape } from './table.ts';

/** A state with every field 0, false or empty, and every subsection at its defaults. */
export function blankState<S extends object>(table: Table<S>): S {
  return blankTable(table) as S;
}

function blankTable(table: TableShape): Values {
  const values: Values = {};
  for (const field of table.fields) Object.assign(values, blankField(field));
  applyDefaults(table, values);
  return values;
}

/** Puts the fields of all subsections at their defaults: what a stream without them means. */
export function applyDefaults(table: TableShape, values: Values): void {
  for (const subsection of table.subsections) {
    Object.assign(values, structuredClone(subsection.defaults));
    applyDefaults(subsection.table, values);
  }
}

function blankField(field: Field): Values {
  switch (field.kind) {
    case 'scalar':
      return { [field.key]: blankItem(field.type) };
    case 'buffer':
      return { [field.key]: new Uint8Array(field.size) };
    case 'unused':
      return {};
    case 'struct':
      return { [field.key]: blankItem(field.table) };
    case 'inline':
      return blankTable(field.table);
    case 'array':
      return { [field.key]: Array.from({ length: field.length }, () => blankItem(field.element)) };
  }
}

function blankItem(type: ScalarType | TableShape): unknown {
  if (typeof type !== 'string') return blankTable(type);
  switch (type) {
    case 'bool':
      return false;
    case 'uint8':
    case 'uint16':
    case 'uint32':
    case 'int32':
      return 0;
    case 'uint64':
    case 'int64':
    case 'timer':
      return 0n;
  }
}
