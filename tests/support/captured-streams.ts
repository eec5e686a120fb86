// SPDX-License-Identifier: Apache-2.0
/** QEMU's main channels in tests/fixtures/streams. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

const folder = join(import.meta.dirname, '..', 'fixtures', 'streams');

export interface CapturedStream {
  readonly name: string;
  /** As it lies there, gzip or not. */
  readonly path: string;
  /** SHA-256 of the source's RAM, hexadecimal. */
  readonly ramSha256: string;
}

/** Every capture that has a RAM image to compare with. */
export const capturedStreams: readonly CapturedStream[] = readFileSync(join(folder, 'ram-images.sha256'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => {
    const [ramSha256 = '', name = ''] = line.split(/\s+/);
    const path = join(folder, name, 'main.bin');
    return { name, ramSha256, path: existsSync(path) ? path : `${path}.gz` };
  });

/** The stream's bytes. */
export function bytesOf({ path }: CapturedStream): Buffer {
  const bytes = readFileSync(path);
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

export function capturedStream(name: string): CapturedStream {
  const found = capturedStreams.find((stream) => stream.name === name);
  if (found === undefined) throw new Error(`there is no capture ${name}`);
  return found;
}
