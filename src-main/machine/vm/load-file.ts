// SPDX-License-Identifier: Apache-2.0
/** `--load FILE@ADDR`: puts a file into RAM before the machine starts. */
import { open } from 'node:fs/promises';
import { formatSizeExactly } from '../../../src-shared/sizes.ts';
import { MigrationError } from '../engine/errors.ts';
import type { GuestMemory, MemorySlot } from '../native/index.ts';
import { blockRange } from './memory-layout.ts';

/** Copied in pieces of this size. */
const chunkBytes = 4 * 1024 * 1024;

export interface FileToLoad {
  readonly file: string;
  /** Guest physical address of its first byte. */
  readonly address: number;
}

/** Copies the whole file. Throws one sentence when it cannot be read, is no file, or does not fit. */
export async function loadFile(
  { file, address }: FileToLoad,
  memory: GuestMemory,
  slots: readonly MemorySlot[],
): Promise<void> {
  const refuse = (reason: string): MigrationError => new MigrationError('machine', `--load ${file}: ${reason}`);
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw refuse(`it cannot be read (${reasonOf(error)})`);
  });
  try {
    const status = await handle.stat();
    if (!status.isFile()) throw refuse('it is not a regular file');
    const range = blockRange(slots, address, status.size);
    if (range === undefined) {
      const end = Math.max(...slots.map((slot) => slot.guestAddress + slot.sizeBytes));
      throw refuse(
        `its ${status.size} bytes do not fit at 0x${address.toString(16)}, since RAM ends at ${formatSizeExactly(end)}: ` +
          `give the machine more --memory or load it lower`,
      );
    }
    const chunk = Buffer.alloc(Math.min(chunkBytes, range.length));
    for (let done = 0; done < range.length;) {
      const { bytesRead } = await handle.read(chunk, 0, Math.min(chunk.length, range.length - done), done);
      if (bytesRead === 0) throw refuse('it became shorter while it was read');
      await memory.write(range.offset + done, chunk.subarray(0, bytesRead));
      done += bytesRead;
    }
  } catch (error) {
    if (error instanceof MigrationError) throw error;
    throw refuse(`it cannot be read (${reasonOf(error)})`);
  } finally {
    await handle.close();
  }
}

/** `no such file or directory` out of `ENOENT: no such file or directory, open 'x'`. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /^[A-Z]+: ([^,]+)/.exec(message)?.[1] ?? message;
}
