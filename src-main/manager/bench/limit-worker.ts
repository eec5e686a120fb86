// SPDX-License-Identifier: Apache-2.0
/**
 * A process of its own for one measurement of what the box can do: `send BYTES` and `receive BYTES` move bytes over the
 * socket that is their standard input, `copy BYTES` and `scan BYTES` work in memory. Prints one line of JSON.
 *
 * One thread and plain write(2) and read(2) on a blocking socket: nothing is between the loop and the kernel, so a
 * program in C is no faster. (Node makes descriptors 0 to 2 of a child blocking.)
 */
import { readSync, writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

const SOCKET = 0;
/** One call moves this much at most: what Godwit's channels take at a time. Larger ones were not faster. */
const CHUNK_BYTES = 1024 ** 2;
/** The memory that bytes come from and go to: more than caches hold, as RAM is. */
const AREA_BYTES = 256 * 1024 ** 2;

const [work = '', text] = process.argv.slice(2);
const bytes = Number(text);
process.stdout.write(`${JSON.stringify({ ms: perform(), bytes })}\n`);

/** Answers the milliseconds that the work took. */
function perform(): number {
  switch (work) {
    case 'send':
      return send();
    case 'receive':
      return receive();
    case 'copy':
      return copy();
    case 'scan':
      return scan();
    default:
      throw new RangeError('a worker sends, receives, copies or scans');
  }
}

/** Memory whose every page was written: first touch is no part of a figure. */
function touchedArea(fill: number): Buffer {
  return Buffer.alloc(Math.min(AREA_BYTES, bytes), fill);
}

function send(): number {
  const area = touchedArea(1);
  const signal = Buffer.alloc(1);
  expectByte(signal); // the receiver is ready
  const start = performance.now();
  for (let moved = 0; moved < bytes;) moved += writeSync(SOCKET, piece(area, moved));
  expectByte(signal); // the receiver has it all
  return performance.now() - start;
}

function receive(): number {
  const area = touchedArea(2);
  const signal = Buffer.alloc(1);
  writeSync(SOCKET, signal);
  const start = performance.now();
  for (let moved = 0; moved < bytes;) {
    const count = readSync(SOCKET, piece(area, moved));
    if (count === 0) throw new RangeError('the sender has gone');
    moved += count;
  }
  writeSync(SOCKET, signal);
  return performance.now() - start;
}

function expectByte(into: Buffer): void {
  if (readSync(SOCKET, into.subarray(0, 1)) !== 1) throw new RangeError('the other end has gone');
}

/** What the next call works on: round and round through the area. */
function piece(area: Buffer, moved: number): Buffer {
  const offset = moved % area.length;
  return area.subarray(offset, offset + Math.min(CHUNK_BYTES, area.length - offset, bytes - moved));
}

function copy(): number {
  const [from, to] = [touchedArea(1), touchedArea(2)];
  const start = performance.now();
  for (let moved = 0; moved < bytes;) {
    moved += piece(from, moved).copy(to, moved % to.length);
  }
  return performance.now() - start;
}

function scan(): number {
  const area = touchedArea(0);
  const start = performance.now();
  for (let seen = 0; seen < bytes;) {
    const part = piece(area, seen);
    if (part.includes(1)) throw new RangeError('zero memory holds a one');
    seen += part.length;
  }
  return performance.now() - start;
}
