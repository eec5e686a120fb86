// SPDX-License-Identifier: Apache-2.0
/**
 * The description of device state (vmdesc) that a source appends to its stream. Readers may ignore it; tools use it to
 * find their way. Object keys are in the order in which QEMU writes them.
 */
import { elementSize, fieldSize, neededSubsections, tableSize } from './layout.ts';
import type { Values } from './layout.ts';
import { SCALARS } from './scalar.ts';
import type { ScalarType } from './scalar.ts';
import type { ArrayField, Field, Table, TableShape } from './table.ts';

export interface VmdescTable {
  readonly vmsd_name: string;
  readonly version: number;
  readonly fields: readonly VmdescField[];
  readonly subsections?: readonly VmdescTable[];
}

export interface VmdescField {
  readonly name: string;
  readonly array_len?: number;
  readonly index?: number;
  readonly type: string;
  readonly struct?: VmdescTable;
  /** Fields of type `tmp` hold their table directly. */
  readonly vmsd_name?: string;
  readonly version?: number;
  readonly fields?: readonly VmdescField[];
  /** Bytes of one element. */
  readonly size: number;
}

export interface VmdescDevice extends VmdescTable {
  readonly name: string;
  readonly instance_id: number;
}

/** Describes a section as it is saved for this state. */
export function describeSection<S extends object>(
  table: Table<S>,
  idstr: string,
  instanceId: number,
  state: NoInfer<S>,
): VmdescDevice {
  return { name: idstr, instance_id: instanceId, ...describeTable(table, state as Values) };
}

function describeTable(table: TableShape, values: Values): VmdescTable {
  const fields = table.fields.flatMap((field) => describeField(field, values));
  const subsections = neededSubsections(table, values).map((subsection) => describeTable(subsection.table, values));
  const described = { vmsd_name: table.name, version: table.version, fields };
  return subsections.length === 0 ? described : { ...described, subsections };
}

function describeField(field: Field, values: Values): VmdescField[] {
  const { name } = field;
  switch (field.kind) {
    case 'scalar':
      return [{ name, type: field.type, size: SCALARS[field.type].size }];
    case 'buffer':
      return [{ name, type: 'buffer', size: field.size }];
    case 'unused':
      return [{ name, type: 'unused_buffer', size: field.size }];
    case 'struct': {
      const inner = values[field.key] as Values;
      const size = tableSize(field.table, inner);
      return [{ name, type: 'struct', struct: describeTable(field.table, inner), size }];
    }
    case 'inline':
      return [{ name, type: 'tmp', ...describeTable(field.table, values), size: fieldSize(field, values) }];
    case 'array':
      return describeArray(field, values[field.key] as unknown[]);
  }
}

function describeArray(field: ArrayField, items: readonly unknown[]): VmdescField[] {
  const { name } = field;
  switch (field.notation) {
    case 'array_len':
      return [{ name, array_len: field.length, ...describeElement(field.element, items[0]) }];
    case 'index':
      return items.map((item, index) => ({ name, index, ...describeElement(field.element, item) }));
  }

  function describeElement(element: ScalarType | TableShape, item: unknown): Omit<VmdescField, 'name'> {
    const size = elementSize(field, item);
    if (typeof element === 'string') return { type: element, size };
    return { type: 'struct', struct: describeTable(element, item as Values), size };
  }
}
