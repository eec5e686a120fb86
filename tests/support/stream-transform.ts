// SPDX-License-Identifier: Apache-2.0
/** What a proxy may do to a stream on its way: alter or drop RAM pages, overwrite bytes of device sections. */
import * as wire from '../../src-main/machine/engine/stream/wire.ts';
import type { RamPage, StreamUnit } from './stream-parser.ts';

export interface StreamTransform {
  /**
   * Called for every page record. `drop` leaves the record out; a buffer of 4096 bytes is sent as the page's content;
   * undefined leaves it alone. `body` is the record's content and must not be kept.
   */
  readonly ramPage?: (page: RamPage, body: Buffer) => Buffer | 'drop' | undefined;
  /** Bytes to put into the fields of a section: `{ section: 'cpu/0', offset: 556, bytes }`. */
  readonly overwrite?: readonly { readonly section: string; readonly offset: number; readonly bytes: Uint8Array }[];
}

export class UnitTransformer {
  readonly #transform: StreamTransform;
  /** The name that a dropped record carried and that the next record has to bring. */
  #nameOwed: string | undefined;

  constructor(transform: StreamTransform) {
    this.#transform = transform;
  }

  /** The bytes to send in place of the unit; undefined: as it is. */
  apply(buffer: Buffer, unit: StreamUnit): Buffer | undefined {
    if (unit.page !== undefined && unit.bodyStart !== undefined) {
      return this.#page(unit.page, buffer.subarray(unit.start, unit.end), buffer.subarray(unit.bodyStart, unit.end));
    }
    if (unit.element?.startsWith('section:') === true) return this.#section(buffer, unit);
    return undefined;
  }

  #page(page: RamPage, record: Buffer, body: Buffer): Buffer | undefined {
    const wanted = this.#transform.ramPage?.(page, body);
    if (wanted === 'drop') {
      if (page.named) this.#nameOwed = page.block;
      return Buffer.alloc(0);
    }
    const owed = this.#nameOwed;
    this.#nameOwed = undefined;
    const addName = owed !== undefined && !page.named;
    if (wanted === undefined && !addName) return undefined;
    const flags = wanted === undefined ? flagsOf(record) : wire.RAM_FLAG_PAGE;
    return ramRecord(page, flags, page.named || addName, wanted ?? body);
  }

  #section(buffer: Buffer, unit: StreamUnit): Buffer | undefined {
    const edits = (this.#transform.overwrite ?? []).filter(({ section }) => unit.element === `section:${section}`);
    if (edits.length === 0 || unit.bodyStart === undefined) return undefined;
    const bytes = Buffer.from(buffer.subarray(unit.start, unit.end));
    for (const edit of edits) bytes.set(edit.bytes, unit.bodyStart - unit.start + edit.offset);
    return bytes;
  }
}

const flagsOf = (record: Buffer): number =>
  record.readUInt32BE(4) & (wire.TARGET_PAGE_SIZE - 1) & ~wire.RAM_FLAG_CONTINUE;

/** A page record: be64 offset and flags, the block's name unless it continues, the content. */
function ramRecord(page: RamPage, flags: number, named: boolean, body: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeBigUInt64BE(BigInt(page.offset) | BigInt(named ? flags : flags | wire.RAM_FLAG_CONTINUE));
  const name = named
    ? Buffer.concat([Buffer.from([page.block.length]), Buffer.from(page.block, 'latin1')])
    : Buffer.alloc(0);
  return Buffer.concat([header, name, body]);
}
