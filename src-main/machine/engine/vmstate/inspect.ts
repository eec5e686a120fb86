// SPDX-License-Identifier: Apache-2.0
/** A section's state as rows for people: what `godwit inspect` prints. */
import { elementSize, neededSubsections, SUBSECTION_PREFIX_BYTES, SUBSECTION_VERSION_BYTES } from './layout.ts';
import type { Values } from './layout.ts';
import { SCALARS } from './scalar.ts';
import type { ScalarType } from './scalar.ts';
import type { ArrayField, Field, Table, TableShape } from './table.ts';

export interface InspectRow {
  /** `env.segs[1].selector`; fields of a subsection are preceded by its name, `cpu/tsc_khz: env.tsc_khz`. */
  readonly path: string;
  readonly type: string;
  /** Bytes from the start of the section's payload. */
  readonly offset: number;
  readonly size: number;
  readonly value: number | bigint | boolean | Uint8Array;
}

/** Every value of a section with its place in the payload. */
export function inspectSection<S extends object>(table: Table<S>, state: NoInfer<S>): InspectRow[] {
  const rows: InspectRow[] = [];
  walkTable(table, state as Values, '', 0, rows);
  return rows;
}

function walkTable(table: TableShape, values: Values, path: string, start: number, rows: InspectRow[]): number {
  let offset = start;
  for (const field of table.fields) offset = walkField(field, values, path, offset, rows);
  for (const { table: inner } of neededSubsections(table, values)) {
    offset += SUBSECTION_PREFIX_BYTES + inner.name.length + SUBSECTION_VERSION_BYTES;
    offset = walkTable(inner, values, `${inner.name}: `, offset, rows);
  }
  return offset;
}

function walkField(field: Field, values: Values, parent: string, offset: number, rows: InspectRow[]): number {
  const path = parent + field.name;
  switch (field.kind) {
    case 'scalar':
      return walkItem(field.type, values[field.key], path, offset, rows);
    case 'buffer':
      rows.push({ path, type: 'buffer', offset, size: field.size, value: values[field.key] as Uint8Array });
      return offset + field.size;
    case 'unused':
      return offset + field.size;
    case 'struct':
      return walkItem(field.table, values[field.key], path, offset, rows);
    case 'inline':
      return walkTable(field.table, values, parent, offset, rows);
    case 'array':
      return walkArray(field, values[field.key] as unknown[], path, offset, rows);
  }
}

function walkArray(field: ArrayField, items: unknown[], path: string, start: number, rows: InspectRow[]): number {
  let offset = start;
  items.forEach((item, index) => {
    walkItem(field.element, item, `${path}[${index}]`, offset, rows);
    offset += elementSize(field, item);
  });
  return offset;
}

function walkItem(
  type: ScalarType | TableShape,
  value: unknown,
  path: string,
  offset: number,
  rows: InspectRow[],
): number {
  if (typeof type !== 'string') return walkTable(type, value as Values, `${path}.`, offset, rows);
  const { size } = SCALARS[type];
  rows.push({ path, type, offset, size, value: value as number | bigint | boolean });
  return offset + size;
}
