// SPDX-License-Identifier: Apache-2.0
import { blankState } from '../../../src-main/machine/engine/vmstate/blank-state.ts';
import type { ScalarType } from '../../../src-main/machine/engine/vmstate/scalar.ts';
import type { Field, Table, TableShape } from '../../../src-main/machine/engine/vmstate/table.ts';
import type { Random } from './seeded.ts';

/** A random state of a table; each subsection is at its defaults or not by the toss of a coin. */
export function randomState<S extends object>(table: Table<S>, random: Random): S {
  return { ...blankState(table), ...(randomTable(table, random) as S) };
}

function randomTable(table: TableShape, random: Random): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const field of table.fields) Object.assign(values, randomField(field, random));
  for (const subsection of table.subsections) {
    const inner = random.chance() ? randomTable(subsection.table, random) : structuredClone(subsection.defaults);
    Object.assign(values, inner);
    if (!subsection.needed(values as never)) Object.assign(values, structuredClone(subsection.defaults));
  }
  return values;
}

function randomField(field: Field, random: Random): Record<string, unknown> {
  switch (field.kind) {
    case 'scalar':
      return { [field.key]: randomItem(field.type, random) };
    case 'buffer':
      return { [field.key]: random.bytes(field.size) };
    case 'unused':
      return {};
    case 'struct':
      return { [field.key]: randomItem(field.table, random) };
    case 'inline':
      return randomTable(field.table, random);
    case 'array':
      return { [field.key]: Array.from({ length: field.length }, () => randomItem(field.element, random)) };
  }
}

function randomItem(type: ScalarType | TableShape, random: Random): unknown {
  if (typeof type !== 'string') return randomTable(type, random);
  switch (type) {
    case 'bool':
      return random.chance();
    case 'uint8':
      return random.below(0x100);
    case 'uint16':
      return random.below(0x10000);
    case 'uint32':
      return random.word();
    case 'int32':
      return random.word() | 0;
    case 'uint64':
      return random.quad();
    case 'int64':
    case 'timer':
      return BigInt.asIntN(64, random.quad());
  }
}
