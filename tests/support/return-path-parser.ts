// SPDX-License-Identifier: Apache-2.0
/** An incremental parser of the return path for tests: takes any chunking, answers whole messages. */
import * as wire from '../../src-main/machine/engine/stream/wire.ts';
import { StreamParseError } from './stream-parser.ts';
import type { ParsedUnits, StreamUnit } from './stream-parser.ts';

const MESSAGE_NAMES: Readonly<Record<number, string>> = {
  [wire.RETURN_PATH_SHUT]: 'SHUT',
  [wire.RETURN_PATH_PONG]: 'PONG',
  [wire.RETURN_PATH_REQ_PAGES_ID]: 'REQ_PAGES_ID',
  [wire.RETURN_PATH_REQ_PAGES]: 'REQ_PAGES',
  [wire.RETURN_PATH_RECV_BITMAP]: 'RECV_BITMAP',
  [wire.RETURN_PATH_RESUME_ACK]: 'RESUME_ACK',
  [wire.RETURN_PATH_SWITCHOVER_ACK]: 'SWITCHOVER_ACK',
  [wire.RETURN_PATH_GODWIT_LOADED]: 'LOADED',
};

const HEADER_BYTES = 4;
/** Behind RECV_BITMAP, outside its length: be64 size, the bitmap, an end mark of 8 bytes. */
const BITMAP_FRAME_BYTES = 16;

export class ReturnPathParser {
  #buffer: Buffer = Buffer.alloc(0);
  #consumed = 0;
  #at = 0;
  #error: StreamParseError | undefined;

  /** What is wrong with the messages: no more units are answered, and `rest` is all that follows. */
  get error(): StreamParseError | undefined {
    return this.#error;
  }

  get offset(): number {
    return this.#consumed;
  }

  get rest(): Buffer {
    return this.#buffer.subarray(this.#at);
  }

  /** Takes the next bytes; answers the messages that they complete, as positions in `buffer`. */
  push(chunk: Buffer): ParsedUnits {
    this.#consumed += this.#at;
    this.#buffer = Buffer.concat([this.rest, chunk]);
    this.#at = 0;
    const units: StreamUnit[] = [];
    while (this.#error === undefined) {
      const start = this.#at;
      const end = this.#messageEnd(start);
      if (end === undefined) break;
      const type = this.#buffer.readUInt16BE(start);
      const element = `rp:${MESSAGE_NAMES[type] ?? String(type)}`;
      units.push({ start, end, element, ends: element, bodyStart: start + HEADER_BYTES });
      this.#at = end;
    }
    return { buffer: this.#buffer, units, error: this.#error };
  }

  #messageEnd(start: number): number | undefined {
    if (this.#buffer.length < start + HEADER_BYTES) return undefined;
    const type = this.#buffer.readUInt16BE(start);
    const length = this.#buffer.readUInt16BE(start + 2);
    if (length > wire.RETURN_PATH_MAX_LENGTH) {
      const where = `at byte ${String(this.#consumed + start)}`;
      this.#error = new StreamParseError(`return path message of ${String(length)} bytes ${where}`);
      return undefined;
    }
    let end = start + HEADER_BYTES + length;
    if (type === wire.RETURN_PATH_RECV_BITMAP) {
      if (this.#buffer.length < end + 8) return undefined;
      end += BITMAP_FRAME_BYTES + Number(this.#buffer.readBigUInt64BE(end));
    }
    return this.#buffer.length < end ? undefined : end;
  }
}
