// SPDX-License-Identifier: Apache-2.0
/**
 * Mutations of valid migration streams, repeatable by seed. They know where the stream's elements are, since most of a
 * stream is pages, in which a changed byte is merely another page.
 */
import * as wire from '../../../src-main/machine/engine/stream/wire.ts';
import * as write from '../../../src-main/machine/engine/stream/writer.ts';
import type { Random } from '../../unit/vmstate/seeded.ts';
import type { StreamUnit } from '../stream-parser.ts';
import { unitsOf, type ValidStream } from './valid-stream.ts';

/** A stream and where its parts are. */
export interface DissectedStream extends ValidStream {
  /** Everything but the bodies of pages: heads of records, sections, commands. */
  readonly structure: readonly Range[];
  /** Elements, each from its first byte to its last. */
  readonly elements: readonly Range[];
}

export interface MutatedStream {
  readonly base: DissectedStream;
  readonly bytes: Buffer;
  /** What was done, in order. */
  readonly steps: readonly string[];
  /** Where the first change is. */
  readonly at: number;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** One change: the new bytes, where it begins, and what it is. */
interface Change {
  readonly bytes: Buffer;
  readonly at: number;
  readonly step: string;
}

type Mutation = (bytes: Buffer, random: Random, base: DissectedStream, all: readonly DissectedStream[]) => Change;

const extremes32 = [0, 1, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_f000, 64 * 1024 ** 2];
const extremes64 = [
  0n,
  1n,
  0x1000n,
  2n ** 32n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
  2n ** 64n - 0x1000n,
  2n ** 51n * 0x1000n,
];

export function dissect(stream: ValidStream): DissectedStream {
  const units = unitsOf(stream.bytes);
  return {
    ...stream,
    structure: units.map(({ start, end, page, bodyStart }) => ({ start, end: page ? (bodyStart ?? end) : end })),
    elements: elementsOf(units),
  };
}

function elementsOf(units: readonly StreamUnit[]): Range[] {
  const elements: Range[] = [];
  let start = 0;
  for (const unit of units) {
    if (unit.element !== undefined) start = unit.start;
    if (unit.ends !== undefined) elements.push({ start, end: unit.end });
  }
  return elements;
}

/** Applies one to three changes. The same random numbers give the same stream. */
export function mutate(all: readonly DissectedStream[], random: Random): MutatedStream {
  const base = pick(all, random);
  const count = 1 + random.below(3);
  let bytes = base.bytes;
  let first = bytes.length;
  const steps: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const change = pick(mutations, random)(bytes, random, base, all);
    bytes = change.bytes;
    first = Math.min(first, change.at);
    steps.push(change.step);
  }
  return { base, bytes, steps, at: first };
}

/** The bytes around the first change, for a report. */
export function neighbourhood({ bytes, at }: MutatedStream): string {
  const start = Math.max(0, at - 32);
  return `from byte ${start}: ${bytes.subarray(start, at + 64).toString('hex')}`;
}

const mutations: readonly Mutation[] = [
  flipBits,
  changeBytes,
  setExtreme,
  setExtreme,
  truncate,
  duplicate,
  remove,
  splice,
  swapElements,
  insertElement,
  insertElement,
  insertNoise,
];

function flipBits(bytes: Buffer, random: Random, base: DissectedStream): Change {
  const at = place(bytes, random, base);
  const mutated = Buffer.from(bytes);
  if (mutated.length > 0) mutated[at] = (mutated[at] ?? 0) ^ (1 << random.below(8));
  return { bytes: mutated, at, step: `flip a bit at ${at}` };
}

function changeBytes(bytes: Buffer, random: Random, base: DissectedStream): Change {
  const at = place(bytes, random, base);
  const length = Math.min(1 + random.below(8), bytes.length - at);
  const mutated = Buffer.from(bytes);
  mutated.set(random.bytes(length), at);
  return { bytes: mutated, at, step: `change ${length} bytes at ${at}` };
}

/** Numbers at their limits: most places of the structure are lengths, offsets, ids or versions. */
function setExtreme(bytes: Buffer, random: Random, base: DissectedStream): Change {
  const at = place(bytes, random, base);
  const value = Buffer.alloc(8);
  const width = pick([1, 2, 4, 8], random);
  if (width === 8) value.writeBigUInt64BE(pick(extremes64, random));
  else value.writeUInt32BE(pick(extremes32, random), 4);
  const field = value.subarray(8 - width);
  const mutated = Buffer.from(bytes);
  field.copy(mutated, at);
  return { bytes: mutated, at, step: `set ${field.toString('hex')} at ${at}` };
}

function truncate(bytes: Buffer, random: Random, base: DissectedStream): Change {
  const at = place(bytes, random, base);
  return { bytes: bytes.subarray(0, at), at, step: `truncate at ${at}` };
}

function duplicate(bytes: Buffer, random: Random, base: DissectedStream): Change {
  const { start, end } = range(bytes, random, base);
  const mutated = Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
  return { bytes: mutated, at: end, step: `duplicate ${start}..${end}` };
}

function remove(bytes: Buffer, random: Random, base: DissectedStream): Change {
  const { start, end } = range(bytes, random, base);
  return {
    bytes: Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]),
    at: start,
    step: `remove ${start}..${end}`,
  };
}

/** The beginning of this stream and the end of another. */
function splice(bytes: Buffer, random: Random, base: DissectedStream, all: readonly DissectedStream[]): Change {
  const other = pick(all, random);
  const at = place(bytes, random, base);
  const from = place(other.bytes, random, other);
  const mutated = Buffer.concat([bytes.subarray(0, at), other.bytes.subarray(from)]);
  return { bytes: mutated, at, step: `go on at ${at} with ${other.name} from ${from}` };
}

function swapElements(bytes: Buffer, random: Random, base: DissectedStream): Change {
  const [first, second] = [pick(base.elements, random), pick(base.elements, random)].sort((a, b) => a.start - b.start);
  if (first === undefined || second === undefined || first === second || second.end > bytes.length) {
    return flipBits(bytes, random, base);
  }
  const mutated = Buffer.concat([
    bytes.subarray(0, first.start),
    bytes.subarray(second.start, second.end),
    bytes.subarray(first.end, second.start),
    bytes.subarray(first.start, first.end),
    bytes.subarray(second.end),
  ]);
  return {
    bytes: mutated,
    at: first.start,
    step: `swap ${first.start}..${first.end} and ${second.start}..${second.end}`,
  };
}

/** Something that is a whole element, or a piece of one, where it does not belong. */
function insertElement(bytes: Buffer, random: Random, base: DissectedStream): Change {
  const at = random.chance() ? pick(base.elements, random).start % (bytes.length + 1) : place(bytes, random, base);
  const [name, element] = foreignElement(random);
  const mutated = Buffer.concat([bytes.subarray(0, at), element, bytes.subarray(at)]);
  return { bytes: mutated, at, step: `insert ${name} at ${at}` };
}

function insertNoise(bytes: Buffer, random: Random, base: DissectedStream): Change {
  const at = place(bytes, random, base);
  const noise = random.bytes(1 + random.below(random.chance() ? 16 : 4096));
  const mutated = Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
  return { bytes: mutated, at, step: `insert ${noise.length} random bytes at ${at}` };
}

function foreignElement(random: Random): readonly [string, Buffer] {
  const number = random.below(24);
  const id = random.below(4);
  const candidates: readonly (() => readonly [string, Buffer])[] = [
    () => [`command ${number}`, write.command(number, random.bytes(pick([0, 4, 8, 65_535], random)))],
    () => ['OPEN_RETURN_PATH', write.command(wire.COMMAND_OPEN_RETURN_PATH)],
    () => ['200 PINGs', Buffer.concat(Array.from({ length: 200 }, () => write.ping(wire.GODWIT_HELLO)))],
    () => ['GO', write.command(wire.COMMAND_GODWIT_GO)],
    () => ['ABANDON', write.command(wire.COMMAND_GODWIT_ABANDON)],
    () => ['an end of the stream', write.endOfStream()],
    () => ['a footer', write.sectionFooter(id)],
    () => ['a start of RAM', write.sectionStart(wire.SECTION_START, id, 'ram', 0, wire.RAM_SECTION_VERSION)],
    () => ['a part of RAM', write.sectionContinue(wire.SECTION_PART, id)],
    () => ['an end of RAM', write.ramEndOfSection()],
    () => [
      'a section',
      write.sectionStart(wire.SECTION_FULL, id, pick(['timer', 'cpu', 'x\n\u001b[2J'], random), id, 1),
    ],
    () => ['a list of 3000 blocks', manyBlocks(3000)],
    () => ['an endless list of blocks', Buffer.concat([be64((2n ** 64n - 0x1000n) | 4n), manyBlocks(20)])],
    () => ['a RAM record', ramRecord(random)],
    () => ['a description of extreme length', Buffer.concat([Buffer.from([6]), be32(pick(extremes32, random))])],
  ];
  return pick(candidates, random)();
}

function manyBlocks(count: number): Buffer {
  return write.ramSetup(Array.from({ length: count }, (_, index) => ({ name: `b${index}`, sizeBytes: 4096 })));
}

function ramRecord(random: Random): Buffer {
  const flags = BigInt(random.below(0x400));
  const name = Buffer.from(random.chance() ? '\x03ram' : '\x0bmicrovm.ram', 'latin1');
  return Buffer.concat([be64((pick(extremes64, random) & ~0xfffn) | flags), name, random.bytes(random.below(32))]);
}

function be32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

function be64(value: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(value);
  return buffer;
}

/** Mostly in the structure; the bodies of pages get their share too. */
function place(bytes: Buffer, random: Random, { structure }: DissectedStream): number {
  if (bytes.length === 0) return 0;
  if (random.below(8) === 0) return random.below(bytes.length);
  // Few of the ranges are sections, most are records of pages: the ends of the stream get more than their share.
  const near = random.chance() ? structure.slice(0, 8).concat(structure.slice(-24)) : structure;
  const { start, end } = pick(near, random);
  return Math.min(start + random.below(Math.max(1, end - start)), bytes.length - 1);
}

/** Whole elements, or any range of at most 64 KiB. */
function range(bytes: Buffer, random: Random, base: DissectedStream): Range {
  if (random.chance()) {
    const { start, end } = pick(base.elements, random);
    if (end <= bytes.length) return { start, end };
  }
  const start = place(bytes, random, base);
  return { start, end: Math.min(bytes.length, start + 1 + random.below(random.chance() ? 16 : 65_536)) };
}

function pick<T>(items: readonly T[], random: Random): T {
  const item = items[random.below(items.length)];
  if (item === undefined) throw new RangeError('nothing to choose from');
  return item;
}
