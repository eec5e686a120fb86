// SPDX-License-Identifier: Apache-2.0
/** The two heads of a multifd channel: its first packet, and that of every other (migration-stream.md 7). Pure. */
import * as wire from '../../engine/stream/wire.ts';

export const MULTIFD_MAGIC = 0x11223344;
const MULTIFD_VERSION = 1;
export const INITIAL_BYTES = 64;
/** Pages that a packet may hold: 512 KiB of them. */
export const PACKET_PAGES = (512 * 1024) / wire.TARGET_PAGE_SIZE;
const OFFSETS_AT = 320;
/** All of them have room for every offset, however many they use. */
export const PACKET_HEAD_BYTES = OFFSETS_AT + 8 * PACKET_PAGES;
const NAME_AT = 64;

const FLAG_SYNC = 0x01;
const FLAG_DEVICE_STATE = 0x40;
const METHOD_MASK = 0x3e;

export type MultifdMethod = 'none' | 'zlib' | 'zstd' | 'qpl' | 'uadk' | 'qatzip';
const METHODS: ReadonlyMap<number, MultifdMethod> = new Map([
  [0x00, 'none'],
  [0x02, 'zlib'],
  [0x04, 'zstd'],
  [0x08, 'qpl'],
  [0x10, 'uadk'],
  [0x20, 'qatzip'],
]);

/** A packet or a first packet that cannot be one; the message goes on where "the packet" ends. */
export class PacketError extends Error {
  override readonly name = 'PacketError';
}

export interface PacketHead {
  readonly sync: boolean;
  readonly method: MultifdMethod;
  /** Name of the RAM block of all its pages; anything where it has none. */
  readonly block: string;
  /** Bytes in the block. */
  readonly normal: readonly number[];
  readonly zero: readonly number[];
  /** Of the page data that follows. */
  readonly dataBytes: number;
}

/** The channel's number and the UUID of its machine, from its first 64 bytes. */
export function parseInitial(bytes: Buffer): { readonly id: number; readonly uuid: string } {
  checkMagic(bytes);
  const hex = bytes.toString('hex', 8, 24);
  return { id: bytes.readUInt8(24), uuid: hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-') };
}

/** The head of a packet, from its 1344 bytes. */
export function parsePacketHead(bytes: Buffer): PacketHead {
  checkMagic(bytes);
  const flags = bytes.readUInt32BE(8);
  if ((flags & FLAG_DEVICE_STATE) !== 0) throw new PacketError('holds state of a vfio device, which is not read');
  const method = METHODS.get(flags & METHOD_MASK);
  if (method === undefined || (flags & ~(METHOD_MASK | FLAG_SYNC)) !== 0) {
    throw new PacketError(`has flags that are not known: 0x${flags.toString(16)}`);
  }
  const normal = bytes.readUInt32BE(16);
  const zero = bytes.readUInt32BE(32);
  if (normal + zero > PACKET_PAGES) {
    throw new PacketError(`announces ${normal} and ${zero} pages, where ${PACKET_PAGES} is the most`);
  }
  // Without normal pages, old releases leave the number of the packet before it there, and no data follows.
  const announced = normal === 0 ? 0 : bytes.readUInt32BE(20);
  return {
    sync: (flags & FLAG_SYNC) !== 0,
    method,
    block: nameIn(bytes.subarray(NAME_AT, OFFSETS_AT)),
    normal: offsetsIn(bytes, 0, normal),
    zero: offsetsIn(bytes, normal, zero),
    dataBytes: checkDataBytes(announced, normal, method),
  };
}

function checkMagic(bytes: Buffer): void {
  const [magic, version] = [bytes.readUInt32BE(0), bytes.readUInt32BE(4)];
  if (magic !== MULTIFD_MAGIC) throw new PacketError(`does not begin with the mark of one: 0x${magic.toString(16)}`);
  if (version !== MULTIFD_VERSION) throw new PacketError(`has version ${version}; only version 1 is known`);
}

/** No method makes pages that much larger: more is a damaged length. */
function checkDataBytes(announced: number, normal: number, method: MultifdMethod): number {
  const pages = normal * wire.TARGET_PAGE_SIZE;
  if (method === 'none' ? announced !== pages : announced > 2 * pages + 4096) {
    throw new PacketError(`announces ${announced} bytes for ${normal} pages`);
  }
  return announced;
}

function nameIn(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? field.length : end);
}

function offsetsIn(bytes: Buffer, first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    const offset = bytes.readBigUInt64BE(OFFSETS_AT + 8 * (first + index));
    if (offset > BigInt(Number.MAX_SAFE_INTEGER) || offset % BigInt(wire.TARGET_PAGE_SIZE) !== 0n) {
      throw new PacketError(`has a page at 0x${offset.toString(16)}, where none can be`);
    }
    return Number(offset);
  });
}
