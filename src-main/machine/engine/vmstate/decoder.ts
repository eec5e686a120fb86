// SPDX-License-Identifier: Apache-2.0
import type { Values } from './layout.ts';
import { SCALARS } from './scalar.ts';
import type { ScalarType } from './scalar.ts';
import type { Field, TableShape } from './table.ts';

/** Decodes fields of fixed size from bytes that are all there. */
export class Decoder {
  readonly #check: (table: TableShape, values: Values) => void;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array, check: (table: TableShape, values: Values) => void) {
    this.#check = check;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fields(fields: readonly Field[], values: Values): void {
    for (const field of fields) this.#field(field, values);
  }

  #field(field: Field, values: Values): void {
    switch (field.kind) {
      case 'scalar':
        values[field.key] = this.#item(field.type);
        return;
      case 'buffer':
        values[field.key] = new Uint8Array(this.#bytes.subarray(this.#offset, this.#offset + field.size));
        this.#offset += field.size;
        return;
      case 'unused':
        this.#offset += field.size;
        return;
      case 'struct':
        values[field.key] = this.#item(field.table);
        return;
      case 'inline':
        return this.fields(field.table.fields, values);
      case 'array':
        values[field.key] = Array.from({ length: field.length }, () => this.#item(field.element));
        return;
      default:
        field satisfies never;
    }
  }

  #item(type: ScalarType | TableShape): unknown {
    if (typeof type === 'string') {
      const codec = SCALARS[type];
      const value = codec.read(this.#view, this.#offset);
      this.#offset += codec.size;
      return value;
    }
    const values: Values = {};
    this.fields(type.fields, values);
    this.#check(type, values);
    return values;
  }
}
