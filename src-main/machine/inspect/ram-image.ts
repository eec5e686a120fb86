// SPDX-License-Identifier: Apache-2.0
/** The RAM image of a stream as a file. */
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { messageOf } from '../engine/errors.ts';
import type { GuestMemory } from '../native/index.ts';
import { InspectError } from './inspect-error.ts';
import type { ImageReport } from './report.ts';
import type { StreamFile } from './stream-file.ts';

/** Refuses a path that is one of the stream's own files: opening it for writing would destroy it. */
export async function checkImagePath(path: string, files: readonly StreamFile[]): Promise<void> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined);
  if (stats === undefined) return;
  for (const file of files) {
    if (!(await file.isSameAs(stats))) continue;
    throw new InspectError('IMAGE', `the RAM image would overwrite the stream in ${path}: name another file`);
  }
}

/** Writes the block to `path`, with holes where it is zero, readable for its owner only; answers what was written. */
export async function writeImage(path: string, memory: GuestMemory): Promise<ImageReport> {
  const isRegular = await makePrivate(path);
  await memory.dump(path, 0, memory.sizeBytes);
  return {
    path,
    block: memory.name,
    bytes: memory.sizeBytes,
    ...(isRegular && { sha256: await sha256Of(path) }),
  };
}

/** A guest's memory holds its secrets, also where it replaces a file that everybody could read. */
async function makePrivate(path: string): Promise<boolean> {
  try {
    const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NONBLOCK, 0o600);
    try {
      const isRegular = (await handle.stat()).isFile();
      if (isRegular) await handle.chmod(0o600);
      return isRegular;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new InspectError('IMAGE', `cannot write the RAM image: ${messageOf(error)}`, { cause: error });
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
