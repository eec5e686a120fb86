// SPDX-License-Identifier: Apache-2.0
import {
  neededSubsections,
  SUBSECTION_PREFIX_BYTES,
  SUBSECTION_TYPE,
  SUBSECTION_VERSION_BYTES,
  tableSize,
} from './layout.ts';
import type { Values } from './layout.ts';
import { SCALARS } from './scalar.ts';
import type { ScalarType } from './scalar.ts';
import type { Field, Table, TableShape } from './table.ts';
import { VmstateError } from './vmstate-error.ts';

/**
 * The payload of a section: its fields and the subsections that the state needs, without section header and footer.
 * Throws a {@link VmstateError} with code RANGE where a value does not fit its field.
 */
export function saveSection<S extends object>(table: Table<S>, state: NoInfer<S>): Uint8Array {
  const values = state as Values;
  const bytes = new Uint8Array(sizeOrThrow(table, values));
  const saver = new Saver(table.name, bytes);
  saver.table(table, values, '');
  return bytes;
}

/** A state with a missing struct or array has no size; that is the same mistake as a value out of range. */
function sizeOrThrow(table: TableShape, values: Values): number {
  try {
    return tableSize(table, values);
  } catch (error) {
    throw new VmstateError('RANGE', table.name, '', `section ${table.name}: the state is incomplete`, { cause: error });
  }
}

class Saver {
  readonly #section: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(section: string, bytes: Uint8Array) {
    this.#section = section;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  table(table: TableShape, values: Values, path: string): void {
    for (const field of table.fields) this.#field(field, values, path);
    for (const { table: inner } of neededSubsections(table, values)) this.#subsection(inner, values);
  }

  #subsection(table: TableShape, values: Values): void {
    this.#bytes[this.#offset] = SUBSECTION_TYPE;
    this.#bytes[this.#offset + 1] = table.name.length;
    this.#offset += SUBSECTION_PREFIX_BYTES;
    this.#bytes.set(Buffer.from(table.name, 'latin1'), this.#offset);
    this.#offset += table.name.length;
    this.#view.setUint32(this.#offset, table.version);
    this.#offset += SUBSECTION_VERSION_BYTES;
    this.table(table, values, `${table.name}: `);
  }

  #field(field: Field, values: Values, path: string): void {
    const place = path + field.name;
    switch (field.kind) {
      case 'scalar':
        return this.#scalar(field.type, values[field.key], place);
      case 'buffer':
        return this.#buffer(values[field.key], field.size, place);
      case 'unused':
        this.#offset += field.size;
        return;
      case 'struct':
        return this.#struct(field.table, values[field.key], place);
      case 'inline':
        return this.table(field.table, values, `${place}.`);
      case 'array':
        return this.#array(field, values[field.key], place);
      default:
        field satisfies never;
    }
  }

  #array(field: Extract<Field, { kind: 'array' }>, value: unknown, place: string): void {
    if (!Array.isArray(value) || value.length !== field.length) {
      this.#refuse(place, `an array of ${field.length} elements`);
    }
    const { element } = field;
    (value as unknown[]).forEach((item, index) => {
      if (typeof element === 'string') this.#scalar(element, item, `${place}[${index}]`);
      else this.#struct(element, item, `${place}[${index}]`);
    });
  }

  #struct(table: TableShape, value: unknown, place: string): void {
    if (typeof value !== 'object' || value === null) this.#refuse(place, 'a struct');
    this.table(table, value as Values, `${place}.`);
  }

  #buffer(value: unknown, size: number, place: string): void {
    if (!(value instanceof Uint8Array) || value.length !== size) this.#refuse(place, `${size} bytes`);
    this.#bytes.set(value, this.#offset);
    this.#offset += size;
  }

  #scalar(type: ScalarType, value: unknown, place: string): void {
    const codec = SCALARS[type];
    if (!codec.accepts(value)) this.#refuse(place, type);
    codec.write(this.#view, this.#offset, value);
    this.#offset += codec.size;
  }

  #refuse(place: string, expected: string): never {
    const message = `section ${this.#section}: the value of ${place} does not fit (${expected})`;
    throw new VmstateError('RANGE', this.#section, place, message);
  }
}
