// SPDX-License-Identifier: Apache-2.0
/**
 * An incremental parser of the main migration stream for tests: takes any chunking, answers whole units. Independent of
 * the product's own reader on purpose (only the wire's numbers are shared): it is what that reader is held against.
 */
import * as wire from '../../src-main/machine/engine/stream/wire.ts';

/** One RAM record. */
export interface RamPage {
  readonly block: string;
  /** Bytes in the block. */
  readonly offset: number;
  readonly kind: 'page' | 'zero' | 'xbzrle' | 'compressed';
  /** Whether the record carries the block's name (no CONTINUE). */
  readonly named: boolean;
}

/** A complete piece of the stream, `start` to `end` in the buffer that push() answered. */
export interface StreamUnit {
  readonly start: number;
  readonly end: number;
  /** Set on the first unit of an element: `header`, `command:PING`, `ram:PART`, `section:cpu/0`, `eof`, … */
  readonly element?: string;
  /** Set on the last unit of an element. */
  readonly ends?: string;
  /** Start of what the unit carries: a page's body, a section's fields, a command's payload. */
  readonly bodyStart?: number;
  readonly page?: RamPage;
}

/** What one push() gave. */
export interface ParsedUnits {
  readonly buffer: Buffer;
  readonly units: StreamUnit[];
  /** What is wrong behind the last unit: nothing more will be parsed. */
  readonly error: Error | undefined;
}

/** Bytes of the fields that are always there, before any subsection. */
const SECTION_BYTES: Readonly<Record<string, number>> = {
  timer: 24,
  fw_cfg: 30,
  cpu_common: 8,
  cpu: 1817,
  'kvm-tpr-opt': 144,
  apic: 181,
  ioapic: 206,
  kvmclock: 8,
  serial: 11,
  globalstate: 104,
};

const COMMAND_NAMES: Readonly<Record<number, string>> = {
  [wire.COMMAND_OPEN_RETURN_PATH]: 'OPEN_RETURN_PATH',
  [wire.COMMAND_PING]: 'PING',
  [wire.COMMAND_POSTCOPY_ADVISE]: 'POSTCOPY_ADVISE',
  [wire.COMMAND_POSTCOPY_LISTEN]: 'POSTCOPY_LISTEN',
  [wire.COMMAND_POSTCOPY_RUN]: 'POSTCOPY_RUN',
  [wire.COMMAND_POSTCOPY_RAM_DISCARD]: 'POSTCOPY_RAM_DISCARD',
  [wire.COMMAND_PACKAGED]: 'PACKAGED',
  [wire.COMMAND_ENABLE_COLO]: 'ENABLE_COLO',
  [wire.COMMAND_POSTCOPY_RESUME]: 'POSTCOPY_RESUME',
  [wire.COMMAND_RECV_BITMAP]: 'RECV_BITMAP',
  [wire.COMMAND_SWITCHOVER_START]: 'SWITCHOVER_START',
  [wire.COMMAND_GODWIT_GO]: 'GO',
};

const PAGE_MASK = wire.TARGET_PAGE_SIZE - 1;
const FOOTER_BYTES = 5;
const RAM_NAMES = ['START', 'PART', 'END'] as const;

/** Thrown inside: the unit is not complete yet. One object, since it is thrown once a chunk. */
const incomplete = new Error('incomplete');

export class StreamParseError extends Error {
  override readonly name = 'StreamParseError';
}

type State = 'header' | 'configuration' | 'elements' | 'ram';

export class MainStreamParser {
  #buffer: Buffer = Buffer.alloc(0);
  #consumed = 0;
  #at = 0;
  #state: State = 'header';
  readonly #ramSections = new Set<number>();
  #previousBlock: string | undefined;
  #ramElement = '';
  #error: StreamParseError | undefined;

  /** What is wrong with the stream: no more units are answered, and `rest` is all that follows. */
  get error(): StreamParseError | undefined {
    return this.#error;
  }

  /** Bytes of the stream before the buffer that the last push() answered. */
  get offset(): number {
    return this.#consumed;
  }

  /** What is left of an incomplete unit. */
  get rest(): Buffer {
    return this.#buffer.subarray(this.#at);
  }

  /** Takes the next bytes; answers the units that they complete, as positions in `buffer`. */
  push(chunk: Buffer): ParsedUnits {
    this.#consumed += this.#at;
    this.#buffer = this.#at === this.#buffer.length ? chunk : Buffer.concat([this.rest, chunk]);
    this.#at = 0;
    const units: StreamUnit[] = [];
    while (this.#error === undefined) {
      const start = this.#at;
      const before = { state: this.#state, block: this.#previousBlock };
      try {
        const unit = this.#unit();
        const ends = unit.element?.startsWith('ram:') === true ? undefined : unit.element;
        units.push({ start, ...(ends !== undefined && { ends }), ...unit, end: this.#at });
      } catch (reason) {
        this.#at = start;
        this.#state = before.state;
        this.#previousBlock = before.block;
        if (reason === incomplete) break;
        if (!(reason instanceof StreamParseError)) throw reason;
        this.#error = reason;
      }
    }
    return { buffer: this.#buffer, units, error: this.#error };
  }

  #unit(): Omit<StreamUnit, 'start' | 'end'> {
    switch (this.#state) {
      case 'header':
        if (this.#u32() !== wire.FILE_MAGIC || this.#u32() !== wire.FILE_VERSION)
          this.#fail('not a stream of version 3');
        this.#state = 'configuration';
        return { element: 'header' };
      case 'configuration':
        return this.#configuration();
      case 'elements':
        return this.#element();
      case 'ram':
        return this.#ramRecord();
    }
  }

  #configuration(): Omit<StreamUnit, 'start' | 'end'> {
    if (this.#u8() !== wire.SECTION_CONFIGURATION) this.#fail('no configuration section');
    this.#skip(this.#u32());
    while (this.#peek(1).readUInt8() === wire.SECTION_SUBSECTION) {
      this.#skip(1);
      const name = this.#countedString();
      this.#skip(4);
      if (name === 'configuration/uuid') this.#skip(16);
      else if (name === 'configuration/target-page-bits') this.#skip(4);
      else if (name === 'configuration/capabilities')
        for (let left = this.#u32(); left > 0; left -= 1) this.#countedString();
      else this.#fail(`unknown configuration subsection ${name}`);
    }
    this.#state = 'elements';
    return { element: 'configuration' };
  }

  #element(): Omit<StreamUnit, 'start' | 'end'> {
    const type = this.#u8();
    switch (type) {
      case wire.SECTION_EOF:
        return { element: 'eof' };
      case wire.SECTION_VMDESCRIPTION: {
        const length = this.#u32();
        const bodyStart = this.#at;
        this.#skip(length);
        return { element: 'vmdesc', bodyStart };
      }
      case wire.SECTION_COMMAND:
        return this.#command();
      case wire.SECTION_START:
      case wire.SECTION_FULL:
        return this.#sectionStart(type);
      case wire.SECTION_PART:
      case wire.SECTION_END:
        if (!this.#ramSections.has(this.#u32())) this.#fail('a part of a section that is not RAM');
        return this.#ramSection(type);
      default:
        return this.#fail(`type byte 0x${type.toString(16)}`);
    }
  }

  #command(): Omit<StreamUnit, 'start' | 'end'> {
    const command = this.#u16();
    const length = this.#u16();
    const bodyStart = this.#at;
    this.#skip(length);
    // What a PACKAGED command announces is commands and sections too: they follow as elements of their own.
    return { element: `command:${COMMAND_NAMES[command] ?? String(command)}`, bodyStart };
  }

  #sectionStart(type: number): Omit<StreamUnit, 'start' | 'end'> {
    const id = this.#u32();
    const name = this.#countedString();
    const instance = this.#u32();
    this.#skip(4);
    if (name === 'ram') {
      this.#ramSections.add(id);
      return this.#ramSection(type);
    }
    if (type !== wire.SECTION_FULL) this.#fail(`section ${name} is sent in parts`);
    const bodyStart = this.#at;
    this.#skip(SECTION_BYTES[name] ?? 0);
    this.#skipToFooter(id);
    return { element: `section:${name}/${String(instance)}`, bodyStart };
  }

  #ramSection(type: number): Omit<StreamUnit, 'start' | 'end'> {
    this.#state = 'ram';
    this.#ramElement = `ram:${RAM_NAMES[type - wire.SECTION_START] ?? ''}`;
    return { element: this.#ramElement };
  }

  /** Behind the fixed fields come subsections or the footer; the footer repeats the section's id, which ends it. */
  #skipToFooter(id: number): void {
    const footer = Buffer.alloc(FOOTER_BYTES);
    footer.writeUInt8(wire.SECTION_FOOTER, 0);
    footer.writeUInt32BE(id, 1);
    const found = this.#buffer.indexOf(footer, this.#at);
    if (found < 0) throw incomplete;
    this.#at = found + FOOTER_BYTES;
  }

  #ramRecord(): Omit<StreamUnit, 'start' | 'end'> {
    const high = this.#u32();
    const low = this.#u32();
    const flags = low & PAGE_MASK;
    const offset = high * 2 ** 32 + (low - flags);
    if (flags & wire.RAM_FLAG_EOS) {
      if (this.#u8() !== wire.SECTION_FOOTER) this.#fail('no footer behind RAM');
      this.#skip(4);
      this.#state = 'elements';
      return { ends: this.#ramElement };
    }
    if (flags & wire.RAM_FLAG_MEM_SIZE) return this.#blockList(offset);
    if (flags & (wire.RAM_FLAG_MULTIFD_FLUSH | wire.RAM_FLAG_HOOK)) return {};
    const named = (flags & wire.RAM_FLAG_CONTINUE) === 0;
    const block = named ? this.#countedString() : this.#previousBlock;
    if (block === undefined) return this.#fail('CONTINUE without a block before');
    this.#previousBlock = block;
    const bodyStart = this.#at;
    return { page: { block, offset, kind: this.#skipPageBody(flags), named }, bodyStart };
  }

  #blockList(total: number): Omit<StreamUnit, 'start' | 'end'> {
    for (let left = total; left > 0;) {
      this.#countedString();
      left -= this.#u32() * 2 ** 32 + this.#u32();
    }
    return {};
  }

  #skipPageBody(flags: number): RamPage['kind'] {
    if (flags & wire.RAM_FLAG_ZERO) {
      this.#skip(1);
      return 'zero';
    }
    if (flags & wire.RAM_FLAG_PAGE) {
      this.#skip(wire.TARGET_PAGE_SIZE);
      return 'page';
    }
    if (flags & wire.RAM_FLAG_XBZRLE) {
      this.#skip(1);
      this.#skip(this.#u16());
      return 'xbzrle';
    }
    if (flags & wire.RAM_FLAG_COMPRESS_PAGE) {
      this.#skip(this.#u32());
      return 'compressed';
    }
    return this.#fail(`RAM flags 0x${flags.toString(16)}`);
  }

  #peek(bytes: number): Buffer {
    if (this.#buffer.length - this.#at < bytes) throw incomplete;
    return this.#buffer.subarray(this.#at, this.#at + bytes);
  }

  #skip(bytes: number): void {
    if (this.#buffer.length - this.#at < bytes) throw incomplete;
    this.#at += bytes;
  }

  #u8(): number {
    this.#skip(1);
    return this.#buffer.readUInt8(this.#at - 1);
  }

  #u16(): number {
    this.#skip(2);
    return this.#buffer.readUInt16BE(this.#at - 2);
  }

  #u32(): number {
    this.#skip(4);
    return this.#buffer.readUInt32BE(this.#at - 4);
  }

  #countedString(): string {
    const length = this.#u8();
    this.#skip(length);
    return this.#buffer.toString('latin1', this.#at - length, this.#at);
  }

  #fail(what: string): never {
    throw new StreamParseError(`${what} at byte ${String(this.#consumed + this.#at)}`);
  }
}
