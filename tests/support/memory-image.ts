// SPDX-License-Identifier: Apache-2.0
/** Contents for guest memory, and the hash of what a machine's memory holds. */
import { createCipheriv, createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { MachineLink } from '../../src-main/manager/machines/link.ts';

const MIB = 1024 ** 2;
const pageBytes = 4096;
/** Memory is saved and hashed in pieces of this size: no file of gigabytes, and no command that takes seconds. */
const dumpBytes = 32 * MIB;

/** A folder that is removed with all in it; memory-backed where there is such a place. */
export async function scratchFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'godwit-interop-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Repeatable bytes: the key stream of AES in counter mode. `mixed` has zero pages and pages that look nearly like zero. */
export async function writeContent(path: string, bytes: number, kind: 'random' | 'mixed', seed: number): Promise<void> {
  const key = createHash('sha256').update(`${seed}`).digest().subarray(0, 16);
  const keyStream = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(Math.min(bytes, 4 * MIB));
  const file = await open(path, 'wx', 0o600);
  try {
    for (let done = 0; done < bytes; done += zeros.length) {
      const chunk = keyStream.update(zeros);
      if (kind === 'mixed') blankPages(chunk);
      await file.write(chunk, 0, Math.min(chunk.length, bytes - done));
    }
  } finally {
    await file.close();
  }
}

/** Leaves about half of the pages: each page's own first byte decides. */
function blankPages(chunk: Buffer): void {
  for (let page = 0; page < chunk.length; page += pageBytes) {
    const choice = chunk[page] ?? 0;
    if (choice >= 128) continue;
    // Zero but for one byte, at the page's end, start or anywhere; or a page of one repeated byte; or all zero.
    const last = chunk[page + pageBytes - 1] ?? 0;
    chunk.fill(choice < 8 ? 0xff : 0, page, page + pageBytes);
    if (choice >= 8 && choice < 16) chunk[page + pageBytes - 1] = 1;
    if (choice >= 16 && choice < 24) chunk[page] = 1;
    if (choice >= 24 && choice < 32) chunk[page + ((last * 16) % pageBytes)] = 1;
  }
}

/** sha256 of the first `bytes` of a machine's memory, by way of a small file `path` that is written again and again. */
export async function memoryHash(link: MachineLink, bytes: number, path: string): Promise<string> {
  const hash = createHash('sha256');
  const size = Math.min(bytes, dumpBytes);
  for (let val = 0; val < bytes; val += size) {
    await link.execute('pmemsave', { val, size, filename: path });
    const dump = await readFile(path);
    expect(dump.length).toBe(size);
    hash.update(dump);
  }
  await rm(path, { force: true });
  return hash.digest('hex');
}

/** sha256 of zeros. */
export function zeroHash(bytes: number): string {
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(MIB);
  for (let done = 0; done < bytes; done += zeros.length) hash.update(zeros);
  return hash.digest('hex');
}
