// SPDX-License-Identifier: Apache-2.0
/** A machine's serial output, from the file that its process writes. */
import { open } from 'node:fs/promises';

const MAX_BYTES = 64 * 1024;

export interface SerialPiece {
  readonly start: number;
  readonly end: number;
  /** base64: what a guest writes is bytes. */
  readonly data: string;
}

/** What the file holds from `offset` on, at most 64 KiB. An offset beyond its end (another file by now) starts anew. */
export async function readSerial(path: string, offset: number): Promise<SerialPiece> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return { start: 0, end: 0, data: '' };
  try {
    const { size } = await file.stat();
    const start = offset > size ? 0 : offset;
    const buffer = Buffer.alloc(Math.min(MAX_BYTES, size - start));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
    return { start, end: start + bytesRead, data: buffer.subarray(0, bytesRead).toString('base64') };
  } finally {
    await file.close();
  }
}
