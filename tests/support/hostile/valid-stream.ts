// SPDX-License-Identifier: Apache-2.0
/** Streams that mutations start from, and how they get from one process to another. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MainStreamParser, type StreamUnit } from '../stream-parser.ts';

export interface ValidStream {
  readonly name: string;
  readonly machine: 'none' | 'microvm';
  /** RAM that the stream is for. */
  readonly memoryBytes: number;
  readonly bytes: Buffer;
}

const indexName = 'streams.json';

export function saveStreams(folder: string, streams: readonly ValidStream[]): void {
  for (const { name, bytes } of streams) writeFileSync(join(folder, `${name}.bin`), bytes);
  const index = streams.map(({ name, machine, memoryBytes }) => ({ name, machine, memoryBytes }));
  writeFileSync(join(folder, indexName), JSON.stringify(index));
}

export function readStreams(folder: string): ValidStream[] {
  const index = JSON.parse(readFileSync(join(folder, indexName), 'utf8')) as Omit<ValidStream, 'bytes'>[];
  return index.map((stream) => ({ ...stream, bytes: readFileSync(join(folder, `${stream.name}.bin`)) }));
}

/** The parts of a whole stream, without a gap. */
export function unitsOf(bytes: Buffer): StreamUnit[] {
  const parser = new MainStreamParser();
  const { units, error } = parser.push(bytes);
  if (error !== undefined) throw error;
  const end = units.at(-1)?.end ?? 0;
  if (end < bytes.length) throw new Error(`the last ${bytes.length - end} bytes of the stream are not a whole part`);
  return units;
}
