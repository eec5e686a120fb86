// SPDX-License-Identifier: Apache-2.0
/** A saved stream as a regular file that can be read anywhere; gzip is decompressed to a file of its own first. */
import { constants } from 'node:fs';
import { mkdtemp, open, rmdir, statfs, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createGunzip } from 'node:zlib';
import { formatBytes } from '../../../src-shared/sizes.ts';
import { messageOf } from '../engine/errors.ts';
import { InspectError } from './inspect-error.ts';

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
/** What is decompressed may take this part of the free room: gzip can make a thousand times of a file. */
const ROOM_PART = 0.5;

/** What it takes to look at places of a stream. */
export interface ReadableStreamFile {
  /** The stream's length. */
  readonly bytes: number;
  /** Bytes from `offset` on: `length` of them, or fewer where the stream ends. */
  readAt(offset: number, length: number): Promise<Buffer>;
}

export class StreamFile implements ReadableStreamFile {
  readonly bytes: number;
  /** The file's length where it is gzip. */
  readonly gzipBytes: number | undefined;
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle, bytes: number, gzipBytes?: number) {
    this.#handle = handle;
    this.bytes = bytes;
    this.gzipBytes = gzipBytes;
  }

  /** Opens a plain or gzip-compressed stream. Throws an {@link InspectError}. */
  static async open(file: string): Promise<StreamFile> {
    const handle = await openRegular(file);
    try {
      const { size } = await handle.stat();
      const magic = await readAt(handle, 0, GZIP_MAGIC.length);
      if (!magic.equals(GZIP_MAGIC)) return new StreamFile(handle, size);
    } catch (error) {
      await handle.close();
      throw error;
    }
    try {
      const { size } = await handle.stat();
      const plain = await decompress(handle, file);
      return new StreamFile(plain.handle, plain.bytes, size);
    } finally {
      await handle.close();
    }
  }

  /** For the native channel, which duplicates it. */
  get fd(): number {
    return this.#handle.fd;
  }

  async readAt(offset: number, length: number): Promise<Buffer> {
    return readAt(this.#handle, offset, Math.max(0, Math.min(length, this.bytes - offset)));
  }

  /** Whether `stats` are of this very file, so that writing there would destroy it. */
  async isSameAs(stats: { readonly dev: bigint; readonly ino: bigint }): Promise<boolean> {
    const own = await this.#handle.stat({ bigint: true });
    return own.dev === stats.dev && own.ino === stats.ino;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** Not O_RDONLY alone: opening a FIFO would wait for a writer. */
async function openRegular(file: string): Promise<FileHandle> {
  let handle: FileHandle;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new InspectError('FILE', `cannot open the stream: ${messageOf(error)}`, { cause: error });
  }
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new InspectError('FILE', `${file} is not a regular file: save the stream to one first`);
}

async function readAt(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** Into a file without a name, which is gone with its descriptor however this process ends. */
async function decompress(from: FileHandle, name: string): Promise<{ handle: FileHandle; bytes: number }> {
  const handle = await unnamedFile();
  let bytes = 0;
  try {
    const { bavail, bsize } = await statfs(tmpdir());
    const room = bavail * bsize * ROOM_PART;
    await gunzipInto(handle, from, (length) => {
      bytes = length;
      if (length <= room) return;
      throw new InspectError(
        'FILE',
        `${name} is larger than ${formatBytes(room)} when it is decompressed, half of what is free in ${tmpdir()}: set TMPDIR, or decompress it yourself`,
      );
    });
    return { handle, bytes };
  } catch (error) {
    await handle.close();
    if (error instanceof InspectError) throw error;
    const reason = `gzip data behind byte ${bytes} of the stream cannot be decompressed: ${messageOf(error)}`;
    throw new InspectError('FILE', `${name}: ${reason}`, { cause: error });
  }
}

async function unnamedFile(): Promise<FileHandle> {
  const folder = await mkdtemp(path.join(tmpdir(), 'godwit-inspect-'));
  const file = path.join(folder, 'stream');
  try {
    const handle = await open(file, 'wx+', 0o600);
    await unlink(file);
    return handle;
  } finally {
    await rmdir(folder);
  }
}

/** Tells the decompressed length as it grows. Zeros are left out of the file: memory is full of them. */
async function gunzipInto(to: FileHandle, from: FileHandle, onLength: (length: number) => void): Promise<void> {
  const source = from.createReadStream({ start: 0, autoClose: false });
  const gunzip = createGunzip();
  source.on('error', (error) => gunzip.destroy(error));
  let length = 0;
  for await (const chunk of source.pipe(gunzip)) {
    const bytes = chunk as Buffer;
    onLength(length + bytes.length);
    if (!isZero(bytes)) await writeAt(to, bytes, length);
    length += bytes.length;
  }
  await to.truncate(length);
}

async function writeAt(to: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await to.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}

/** Compares the bytes with themselves, one place further: that is a single memcmp. */
function isZero(bytes: Buffer): boolean {
  return bytes[0] === 0 && bytes.subarray(1).equals(bytes.subarray(0, -1));
}
