// SPDX-License-Identifier: Apache-2.0
/** A file as the other end of the stream. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { native, type Channel } from '../../native/index.ts';
import { codeOf, messageOf, MigrationError } from '../errors.ts';
import type { FileTarget } from './target.ts';

/** The words of errno that people meet here; the rest is Node's. */
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EISDIR: 'Is a directory',
  ENOSPC: 'No space left on device',
  EROFS: 'Read-only file system',
};

export interface SavedFile {
  readonly channel: Channel;
  /** Ends the file where the stream ends, and waits until all of it is on the disk. */
  readonly seal: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** A file that a stream is written to: made with mode 0600 where it is not there, kept up to the offset. */
export async function openToSave({ path, offset }: FileTarget): Promise<SavedFile> {
  // Not `w`: a file that cannot be written to in the end is not emptied before that is known.
  const file = await openFile(path, 'create').catch((error: unknown) => {
    throw new MigrationError('link', `Could not create '${path}': ${wordsOf(error)}`);
  });
  const channel = native.openStream(file.fd, offset);
  let sealed = false;
  return {
    channel,
    seal: async () => {
      await file.truncate(offset + channel.bytesWritten);
      await file.sync();
      sealed = true;
    },
    close: async () => {
      channel.close();
      // Half a guest is of no use to anybody, and a full disk gets its room back.
      if (!sealed) await file.truncate(offset).catch(() => undefined);
      await file.close();
    },
  };
}

/** A file that a stream is read from. */
export async function openToLoad({ path, offset }: FileTarget): Promise<Channel> {
  const file = await openFile(path, 'read').catch((error: unknown) => {
    throw new MigrationError('link', `Could not open '${path}': ${wordsOf(error)}`);
  });
  try {
    const { size } = await file.stat();
    if (offset > size) {
      throw new MigrationError('link', `Could not open '${path}': it has ${size} bytes, and the offset is ${offset}`);
    }
    return native.openStream(file.fd, offset);
  } finally {
    await file.close();
  }
}

async function openFile(path: string, how: 'create' | 'read'): ReturnType<typeof open> {
  const { O_RDONLY, O_RDWR, O_CREAT } = constants;
  const file = await open(path, how === 'read' ? O_RDONLY : O_RDWR | O_CREAT, 0o600);
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new MigrationError('link', 'it is not a regular file');
}

function wordsOf(error: unknown): string {
  return WORDS[codeOf(error) ?? ''] ?? messageOf(error);
}
