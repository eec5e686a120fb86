// SPDX-License-Identifier: Apache-2.0
import { bufferSource } from '../../../src-main/machine/engine/vmstate/byte-source.ts';
import type { PositionedSource } from '../../../src-main/machine/inspect/configuration.ts';
import type { ReadableStreamFile } from '../../../src-main/machine/inspect/stream-file.ts';

/** Bytes as a channel gives them. */
export function positioned(bytes: Uint8Array): PositionedSource & { readonly left: number } {
  const source = bufferSource(bytes);
  return {
    read: (n) => source.read(n),
    peek: (n) => source.peek(n),
    get bytesRead() {
      return source.offset;
    },
    get left() {
      return source.left;
    },
  };
}

/** Bytes as a file gives them. */
export function inMemory(bytes: Buffer): ReadableStreamFile {
  return { bytes: bytes.length, readAt: async (offset, length) => bytes.subarray(offset, offset + length) };
}

/** `u8 length, text`. */
export function counted(text: string): Buffer {
  return Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)]);
}

export function be32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

export function be64(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer;
}
