// SPDX-License-Identifier: Apache-2.0
/** A section's payload, read by the stream's own description of it. */
import type { VmdescField, VmdescTable } from '../engine/vmstate/describe.ts';
import { SUBSECTION_PREFIX_BYTES, SUBSECTION_TYPE, SUBSECTION_VERSION_BYTES } from '../engine/vmstate/layout.ts';
import type { FieldReport } from './report.ts';

/** Fields of one section that are listed. A PC's longest sections have some hundred. */
const MAX_FIELDS = 20_000;
/** Steps through one section: a description can say in a few bytes what takes for ever to list. */
const MAX_STEPS = 200_000;

const lengths = new WeakMap<VmdescTable, number>();

/** Bytes of a section on the wire: its fields, and of each subsection type byte, counted name, version and fields. */
export function describedLength(table: VmdescTable): number {
  const known = lengths.get(table);
  if (known !== undefined) return known;
  const fields = table.fields.reduce((sum, field) => sum + fieldLength(field), 0);
  const subsections = table.subsections ?? [];
  const length = subsections.reduce((sum, inner) => sum + headLength(inner) + describedLength(inner), fields);
  lengths.set(table, length);
  return length;
}

const fieldLength = (field: VmdescField): number => field.size * (field.array_len ?? 1);

const headLength = (subsection: VmdescTable): number =>
  SUBSECTION_PREFIX_BYTES + Buffer.byteLength(subsection.vmsd_name) + SUBSECTION_VERSION_BYTES;

/**
 * Every value in `payload`, which has {@link describedLength} bytes. Undefined where a subsection is not where the
 * description says: it is not the description of this payload then.
 */
export function describedFields(
  table: VmdescTable,
  payload: Buffer,
): { fields: FieldReport[]; omitted: number } | undefined {
  const reader = new DescribedReader(payload);
  if (!reader.table(table, '', 0)) return undefined;
  return { fields: reader.fields, omitted: reader.omitted };
}

class DescribedReader {
  readonly fields: FieldReport[] = [];
  omitted = 0;
  readonly #payload: Buffer;
  #steps = 0;

  constructor(payload: Buffer) {
    this.#payload = payload;
  }

  table(table: VmdescTable, path: string, start: number): boolean {
    let offset = start;
    for (const field of table.fields) {
      if (this.#steps >= MAX_STEPS) {
        this.omitted++;
        return true;
      }
      if (!this.#field(field, path, offset)) return false;
      offset += fieldLength(field);
    }
    for (const inner of table.subsections ?? []) {
      if (!this.#isSubsection(inner, offset)) return false;
      offset += headLength(inner);
      if (!this.table(inner, `${inner.vmsd_name}: `, offset)) return false;
      offset += describedLength(inner);
    }
    return true;
  }

  #isSubsection({ vmsd_name: name }: VmdescTable, offset: number): boolean {
    const nameAt = offset + SUBSECTION_PREFIX_BYTES;
    return (
      this.#payload[offset] === SUBSECTION_TYPE &&
      this.#payload.toString('utf8', nameAt, nameAt + (this.#payload[offset + 1] ?? 0)) === name
    );
  }

  #field(field: VmdescField, parent: string, offset: number): boolean {
    const { name, size, array_len: length, index } = field;
    this.#steps++;
    const path = parent + name;
    if (length === undefined) return this.#item(field, index === undefined ? path : `${path}[${index}]`, offset);
    // Elements without bytes may be announced in any number.
    for (let item = 0; size > 0 && item < length; item++) {
      if (this.#isFull) {
        this.omitted += length - item;
        return true;
      }
      if (!this.#item(field, `${path}[${item}]`, offset + item * size)) return false;
    }
    return true;
  }

  get #isFull(): boolean {
    return this.fields.length >= MAX_FIELDS || this.#steps >= MAX_STEPS;
  }

  #item(field: VmdescField, path: string, offset: number): boolean {
    const { type, size, struct } = field;
    this.#steps++;
    if (struct !== undefined && describedLength(struct) === size) {
      // A `tmp` is a detour of the saver's: what it holds belongs to the struct around it.
      const inner = type === 'tmp' ? path.slice(0, path.length - field.name.length) : `${path}.`;
      return this.table(struct, inner, offset);
    }
    if (type === 'unused_buffer' || size === 0) return true;
    if (this.#isFull) this.omitted++;
    else this.fields.push({ path, type, offset, size, value: valueOf(type, this.#payload, offset, size) });
    return true;
  }
}

/** `uint32`, `int32 le` (less or equal is what the loader accepts), `uint8 equal`: all big-endian. */
const INTEGER = /^(u?)int(8|16|32|64)(?: equal| le)?$/;

function valueOf(type: string, payload: Buffer, offset: number, size: number): FieldReport['value'] {
  const [, unsigned, bits] = INTEGER.exec(type) ?? [];
  if (bits !== undefined && Number(bits) === size * 8) return integerAt(payload, offset, size, unsigned === 'u');
  if (type === 'bool' && size === 1) return payload[offset] !== 0;
  if (type === 'timer' && size === 8) return payload.readBigInt64BE(offset);
  return new Uint8Array(payload.subarray(offset, offset + size));
}

function integerAt(payload: Buffer, offset: number, size: number, unsigned: boolean): number | bigint {
  if (size === 8) return unsigned ? payload.readBigUInt64BE(offset) : payload.readBigInt64BE(offset);
  return unsigned ? payload.readUIntBE(offset, size) : payload.readIntBE(offset, size);
}
