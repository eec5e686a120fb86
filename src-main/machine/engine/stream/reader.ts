// SPDX-License-Identifier: Apache-2.0
/**
 * The grammar of the main stream outside sections' payloads: what comes next, and its fixed parts. Lengths that a peer
 * names are checked before anything of that size is read.
 */
import { MigrationError } from '../errors.ts';
import type { ByteSource } from '../vmstate/byte-source.ts';
import * as wire from './wire.ts';

/** The vmdesc of a machine with hundreds of devices is a few hundred KiB. */
const maxVmdescription = 16 * 1024 * 1024;
/** A machine has a dozen RAM blocks; one with every memory slot and option ROM in use has some 300. */
const maxRamBlocks = 1024;
/** Discarded in pieces of this size. */
const discardChunk = 1024 * 1024;

/** Introduces a section: START and FULL name a device, PART and END refer to it by id. */
export type StreamElement =
  | {
      readonly kind: 'section';
      readonly type: 'start' | 'full';
      readonly id: number;
      readonly idstr: string;
      readonly instanceId: number;
      readonly version: number;
    }
  | { readonly kind: 'section'; readonly type: 'part' | 'end'; readonly id: number }
  | { readonly kind: 'command'; readonly number: number; readonly payload: Uint8Array }
  | { readonly kind: 'eof' };

function malformed(message: string): MigrationError {
  return new MigrationError('stream', message);
}

export async function readUint(source: ByteSource, bytes: 1 | 2 | 4): Promise<number> {
  const data = await source.read(bytes);
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).readUIntBE(0, bytes);
}

/** Reads `u8 length, bytes`. */
export async function readCountedString(source: ByteSource): Promise<string> {
  const length = await readUint(source, 1);
  if (length === 0) return '';
  return Buffer.from(await source.read(length)).toString('utf8');
}

/** A name from a peer, fit for an error message. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 64);
}

/** Reads magic and version. */
export async function readHeader(source: ByteSource): Promise<void> {
  const magic = await readUint(source, 4);
  if (magic !== wire.FILE_MAGIC) throw malformed('Not a migration stream');
  const version = await readUint(source, 4);
  if (version === wire.FILE_VERSION_COMPAT) throw malformed('SaveVM v2 format is obsolete and no longer supported');
  if (version !== wire.FILE_VERSION) throw malformed(`Unsupported migration stream version ${version}`);
}

/** Reads the introduction of the next element. */
export async function readElement(source: ByteSource): Promise<StreamElement> {
  const type = await readUint(source, 1);
  switch (type) {
    case wire.SECTION_EOF:
      return { kind: 'eof' };
    case wire.SECTION_START:
    case wire.SECTION_FULL: {
      const id = await readUint(source, 4);
      const idstr = await readCountedString(source);
      const numbers = Buffer.from(await source.read(8));
      return {
        kind: 'section',
        type: type === wire.SECTION_START ? 'start' : 'full',
        id,
        idstr,
        instanceId: numbers.readUInt32BE(0),
        version: numbers.readUInt32BE(4),
      };
    }
    case wire.SECTION_PART:
    case wire.SECTION_END:
      return { kind: 'section', type: type === wire.SECTION_PART ? 'part' : 'end', id: await readUint(source, 4) };
    case wire.SECTION_COMMAND: {
      const head = Buffer.from(await source.read(4));
      const length = head.readUInt16BE(2);
      return {
        kind: 'command',
        number: head.readUInt16BE(0),
        payload: length === 0 ? new Uint8Array() : await source.read(length),
      };
    }
    default:
      throw malformed(`Unknown section type 0x${type.toString(16).padStart(2, '0')} in the migration stream`);
  }
}

/** Reads the footer that follows a section's payload. */
export async function readFooter(source: ByteSource, id: number, what: string): Promise<void> {
  const data = Buffer.from(await source.read(5));
  const type = data.readUInt8(0);
  const footerId = data.readUInt32BE(1);
  if (type !== wire.SECTION_FOOTER) throw malformed(`Missing section footer for ${printable(what)}`);
  if (footerId !== id) {
    throw malformed(
      `Mismatched section id in footer for ${printable(what)}: read 0x${footerId.toString(16)}, expected 0x${id.toString(16)}`,
    );
  }
}

/** Reads past the vmdesc whose type byte has been read. Its contents are not needed to load. */
export async function skipVmdescription(source: ByteSource): Promise<void> {
  let left = await readUint(source, 4);
  if (left > maxVmdescription) throw malformed(`vmdescription of ${left} bytes, the limit is ${maxVmdescription}`);
  while (left > 0) {
    const step = Math.min(left, discardChunk);
    await source.read(step);
    left -= step;
  }
}

/** One entry of the RAM setup's block list. */
export interface AnnouncedBlock {
  readonly name: string;
  readonly usedBytes: bigint;
  /** Guest physical address; only with x-ignore-shared. */
  readonly guestAddress?: bigint;
}

/** Reads the block list whose sizes add up to `totalBytes`. */
export async function readBlockList(
  source: ByteSource,
  totalBytes: bigint,
  withAddresses = false,
): Promise<AnnouncedBlock[]> {
  const blocks: AnnouncedBlock[] = [];
  for (let left = totalBytes; left > 0n;) {
    if (blocks.length >= maxRamBlocks) throw malformed(`More than ${maxRamBlocks} RAM blocks are announced`);
    const name = await readCountedString(source);
    const usedBytes = Buffer.from(await source.read(8)).readBigUInt64BE(0);
    if (usedBytes === 0n || usedBytes > left) {
      throw malformed(
        `RAM block '${printable(name)}' of ${usedBytes} bytes does not fit the announced total of ${totalBytes}`,
      );
    }
    const guestAddress = withAddresses ? Buffer.from(await source.read(8)).readBigUInt64BE(0) : undefined;
    blocks.push({ name: printable(name), usedBytes, ...(guestAddress !== undefined && { guestAddress }) });
    left -= usedBytes;
  }
  return blocks;
}

/** Checks a command's payload length. */
export function requireLength(element: { number: number; payload: Uint8Array }, length: number): void {
  if (element.payload.length !== length) {
    throw malformed(
      `MIG_CMD 0x${element.number.toString(16)} received with bad length ${element.payload.length}, expected ${length}`,
    );
  }
}
