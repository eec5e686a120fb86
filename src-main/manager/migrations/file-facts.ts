// SPDX-License-Identifier: Apache-2.0
/** What is known of a file before a guest is saved to it. */
import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';

export interface FileFacts {
  readonly path: string;
  readonly isAbsolute: boolean;
  readonly folder: string;
  readonly folderState: 'writable' | 'not-writable' | 'missing';
  /** `other`: a folder, a device, a pipe. */
  readonly there: 'nothing' | 'file' | 'not-writable' | 'other';
  /** In its file system, bytes that this user may take; undefined where it is not known. */
  readonly freeBytes: number | undefined;
}

export async function fileFacts(path: string): Promise<FileFacts> {
  const folder = dirname(path);
  const [folderStats, stats, system] = await Promise.all([
    stat(folder).catch(() => undefined),
    stat(path).catch(() => undefined),
    statfs(folder).catch(() => undefined),
  ]);
  const folderState =
    folderStats?.isDirectory() !== true ? 'missing' : (await isWritable(folder)) ? 'writable' : 'not-writable';
  const there =
    stats === undefined ? 'nothing' : !stats.isFile() ? 'other' : (await isWritable(path)) ? 'file' : 'not-writable';
  return {
    path,
    isAbsolute: isAbsolute(path),
    folder,
    folderState,
    there,
    freeBytes: system === undefined ? undefined : system.bavail * system.bsize,
  };
}

async function isWritable(path: string): Promise<boolean> {
  return await access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
}
