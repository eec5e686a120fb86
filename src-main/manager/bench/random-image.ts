// SPDX-License-Identifier: Apache-2.0
import { createCipheriv } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const STEP_BYTES = 4 * 1024 ** 2;

/** A file with the content of random RAM. */
export interface RandomImage {
  readonly path: string;
  /** Removes it. */
  dispose(): Promise<void>;
}

/** Writes `bytes` pseudo-random bytes, the same in every run, to a private temporary file. */
export async function writeRandomImage(bytes: number, signal: AbortSignal): Promise<RandomImage> {
  const folder = await mkdtemp(join(tmpdir(), 'godwit-bench-'));
  const removeNow = (): void => {
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', removeNow);
  const dispose = async (): Promise<void> => {
    await rm(folder, { recursive: true, force: true });
    process.off('exit', removeNow);
  };
  const path = join(folder, 'random-ram');
  try {
    await fill(path, bytes, signal);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { path, dispose };
}

async function fill(path: string, bytes: number, signal: AbortSignal): Promise<void> {
  // The key stream of AES in counter mode: fast, and no page of it is like another.
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'godwit'), Buffer.alloc(16));
  const zeros = Buffer.alloc(STEP_BYTES);
  const file = await open(path, 'wx', 0o600);
  try {
    for (let written = 0; written < bytes;) {
      signal.throwIfAborted();
      const piece = stream.update(zeros.subarray(0, Math.min(STEP_BYTES, bytes - written)));
      await file.writeFile(piece);
      written += piece.length;
    }
  } finally {
    await file.close();
  }
}
