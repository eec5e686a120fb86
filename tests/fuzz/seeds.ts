// SPDX-License-Identifier: Apache-2.0
/** What the fuzz targets start from, made from the captures of real QEMUs: `node seeds.ts FOLDER`. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesOf, capturedStream } from '../support/captured-streams.ts';
import { unitsOf } from '../support/hostile/valid-stream.ts';
import type { StreamUnit } from '../support/stream-parser.ts';

/** So many pages in one seed: the blocks of the target have no more than 8. */
const pagesInASeed = 6;
const seedsOfAStream = 24;
/** Longer seeds make every run slower and find no more. */
const channelBytes = 4096;
const captures = ['q72-none-precopy', 'q100-none-precopy', 'q72-microvm-xbzrle', 'q100-microvm-xbzrle'];

const ramOptionBits = { xbzrle: 1, compressed: 2, statistics: 4, hesitates: 8 } as const;

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: seeds.ts FOLDER');
const put = (target: string, bytes: Uint8Array): void => {
  const corpus = join(folder, target);
  mkdirSync(corpus, { recursive: true });
  writeFileSync(join(corpus, createHash('sha256').update(bytes).digest('hex').slice(0, 16)), bytes);
};

for (const name of captures) {
  const bytes = bytesOf(capturedStream(name));
  const pages = unitsOf(bytes).filter(({ page }) => page !== undefined);
  for (const run of runsOf(pages)) put('ram_records', ramSeed(bytes, run));
  for (const unit of pages.filter(({ page }) => page?.kind === 'xbzrle').slice(0, 200))
    put('xbzrle', delta(bytes, unit));
  put('channel_input', channelSeed(bytes.subarray(0, channelBytes)));
}

/** Neighbouring page records, spread over the stream, so that all forms are among them. */
function runsOf(pages: readonly StreamUnit[]): (readonly StreamUnit[])[] {
  const step = Math.max(1, Math.floor(pages.length / seedsOfAStream));
  return Array.from({ length: seedsOfAStream }, (_, index) =>
    pages.slice(index * step, index * step + pagesInASeed),
  ).filter((run) => run.length > 0);
}

/** Chunking and options as the target reads them, then records whose offsets lie in its small blocks. */
function ramSeed(bytes: Buffer, run: readonly StreamUnit[]): Buffer {
  const records = run.map((unit, index) => {
    const record = Buffer.from(bytes.subarray(unit.start, unit.end));
    const head = record.readBigUInt64BE(0);
    record.writeBigUInt64BE((head & 0xfffn) | (BigInt(index % 4) << 12n), 0);
    return record;
  });
  const options = Buffer.from([0x10, 0x00, 7, ramOptionBits.xbzrle | ramOptionBits.compressed]);
  return Buffer.concat([options, ...records, Buffer.from('0000000000000010', 'hex')]);
}

/** Without the three bytes of encoding and length. */
function delta(bytes: Buffer, { bodyStart = 0, end }: StreamUnit): Buffer {
  return bytes.subarray(bodyStart + 3, end);
}

/** Some peeks and reads over the beginning of a stream. */
function channelSeed(stream: Buffer): Buffer {
  const operations = [
    [0x0d, 0, 0, 8],
    [0x0e, 0, 0, 8],
    [0x0e, 0, 1, 0],
    [0x0c, 0, 0, 0],
    [0x02, 0, 0, 2],
  ];
  return Buffer.concat([Buffer.from([0x01, 0x00, 3, 0, operations.length]), Buffer.from(operations.flat()), stream]);
}
