// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { continuityProblems, longestPauseMs } from '../../../src-main/manager/demo/continuity.ts';
import { SweepCounter } from '../../../src-main/manager/demo/sweeps.ts';
import type { Heartbeat } from '../../../src-main/manager/machines/replies.ts';
import { DemoGuestLineReader, parseDemoGuestLine } from '../../../src-shared/demo-guest-lines.ts';

/** Ten heartbeats, a batch of 20, one every 2 ms, the last at generation and time of the arguments. */
function beat(vcpu: number, generation: bigint, lastNs: bigint, first = generation - 180n): Heartbeat {
  return {
    vcpu,
    count: 10,
    'first-generation': first,
    generation,
    'first-ns': lastNs - 18_000_000n,
    'last-ns': lastNs,
    'longest-gap-ns': 2_000_000n,
    'longest-gap-end-ns': lastNs,
  };
}

const MS = 1_000_000n;
const before = [beat(0, 1000n, 1000n * MS), beat(1, 2000n, 1001n * MS)];
/** The destination's first heartbeats are one batch on, 50 and 60 ms later. */
const after = [beat(0, 1200n, 1068n * MS, 1020n), beat(1, 2200n, 1079n * MS, 2020n)];

describe('continuity', () => {
  test('holds when every vCPU goes on with its next batch', () => {
    expect(continuityProblems({ source: before, destination: after, corrupt: [] })).toEqual([]);
  });

  test.each<[string, Partial<Heartbeat>, string]>([
    [
      'went back',
      { 'first-generation': 980n },
      'vCPU 0 went back: generation 1000 on the source, then 980 on the destination',
    ],
    [
      'repeated its last batch',
      { 'first-generation': 1000n },
      'vCPU 0 did not continue: generation 1000 on the source, then 1000 on the destination; a batch has 19 to 21',
    ],
    [
      'skipped a batch',
      { 'first-generation': 1040n },
      'vCPU 0 did not continue: generation 1000 on the source, then 1040 on the destination; a batch has 19 to 21',
    ],
    [
      'beat on both sides at once',
      { 'first-ns': 999n * MS },
      'vCPU 0 ran in both processes at once: the destination saw it before the source saw it last',
    ],
    ['is silent', { count: 0 }, 'vCPU 0 is silent on the destination'],
  ])('is denied when a vCPU %s', (_, change, sentence) => {
    const [first, ...others] = after;
    if (!first) throw new Error('no heartbeat');
    const destination = [{ ...first, ...change }, ...others];
    expect(continuityProblems({ source: before, destination, corrupt: [] })).toEqual([sentence]);
  });

  test('is denied when a vCPU is missing, and when the guest says so', () => {
    expect(continuityProblems({ source: before, destination: after.slice(0, 1), corrupt: ['CORRUPT page=7'] })).toEqual(
      ['the guest reported corruption 1 times, first: CORRUPT page=7', 'vCPU 1 is silent on the destination'],
    );
  });

  test('allows batches that differ by one where the rate does not divide evenly', () => {
    const source = [{ ...beat(0, 1000n, 1000n * MS), count: 4, 'first-generation': 990n }]; // 3, 3, 4
    for (const [first, problems] of [
      [1002n, 1],
      [1003n, 0],
      [1004n, 0],
      [1005n, 1],
    ] as const) {
      const destination = [{ ...beat(0, 1010n, 1068n * MS, first) }];
      expect(continuityProblems({ source, destination, corrupt: [] }), String(first)).toHaveLength(problems);
    }
  });

  test('allows an empty batch where the rate is less than a page a batch', () => {
    const source = [{ ...beat(0, 3n, 1000n * MS), 'first-generation': 0n }];
    expect(continuityProblems({ source, destination: [beat(0, 5n, 1068n * MS, 3n)], corrupt: [] })).toEqual([]);
  });
});

describe('the longest pause', () => {
  test('is the longest gap between heartbeats of the two processes', () => {
    expect(longestPauseMs(before, after, 900n * MS)).toBe(60);
  });

  test('counts a longer gap inside a process, if it ended after the migration began', () => {
    const stalled = before.map((item) => ({ ...item, 'longest-gap-ns': 75n * MS, 'longest-gap-end-ns': 950n * MS }));
    expect(longestPauseMs(stalled, after, 900n * MS)).toBe(75);
    expect(longestPauseMs(stalled, after, 960n * MS)).toBe(60);
  });
});

describe('serial lines', () => {
  test('are read', () => {
    expect(parseDemoGuestLine('cpu=1 gen=18446744073709551615 sweep=2 static=3')).toEqual({
      kind: 'progress',
      cpu: 1,
      generation: 18446744073709551615n,
      sweep: 2n,
      staticPasses: 3n,
    });
    expect(parseDemoGuestLine('CORRUPT reg=xmm3 cpu=0')).toEqual({ kind: 'corrupt', text: 'CORRUPT reg=xmm3 cpu=0' });
    expect(parseDemoGuestLine('demo guest: 2 vcpus, 32768 pages, seed 1')).toBeUndefined();
    expect(parseDemoGuestLine('cpu=1 gen= sweep=2 static=3')).toBeUndefined();
  });

  test('are found in any chunking, and a line without an end is not hoarded', () => {
    const text =
      'banner\r\ncpu=0 gen=40 sweep=1 static=0\nCORRUPT page=7 cpu=0 gen=41\ncpu=1 gen=60 sweep=1 static=0\n';
    for (let size = 1; size <= text.length; size += 1) {
      const reader = new DemoGuestLineReader();
      const pieces = text.match(new RegExp(`[^]{1,${String(size)}}`, 'g')) ?? [];
      const kinds = pieces.flatMap((piece) => reader.push(piece)).map((line) => line.kind);
      expect(kinds, `pieces of ${String(size)}`).toEqual(['progress', 'corrupt', 'progress']);
    }
    const reader = new DemoGuestLineReader();
    for (let round = 0; round < 1000; round += 1) reader.push('x'.repeat(1000));
    expect(reader.push('\ncpu=0 gen=1 sweep=0 static=0\n')).toHaveLength(1);
  });
});

describe('checks after the switchover', () => {
  const line = (cpu: number, sweep: number, staticPasses: number): string =>
    `cpu=${String(cpu)} gen=1 sweep=${String(sweep)} static=${String(staticPasses)}\n`;

  test('count only what began and ended there, of the slowest vCPU', () => {
    const counter = new SweepCounter(2);
    counter.push(line(0, 5, 3) + line(1, 5, 3));
    expect(counter.sweeps).toBe(5);
    counter.switchOver();
    expect(counter.after).toEqual({ sweeps: 0, staticPasses: 0 });
    counter.push(line(0, 6, 3) + line(1, 5, 3)); // where they were soon after
    counter.push(line(0, 9, 5) + line(1, 7, 4)); // vCPU 1: sweep 6 began before, 7 is the first whole one
    expect(counter.after).toEqual({ sweeps: 1, staticPasses: 0 });
    counter.push(line(1, 8, 5));
    expect(counter.after).toEqual({ sweeps: 2, staticPasses: 1 });
  });

  test('read a line whole that the switchover cut in two', () => {
    const counter = new SweepCounter(1);
    counter.push('cpu=0 gen=1 sweep=1 static=1\nCORR');
    counter.switchOver();
    counter.push('UPT page=3 cpu=0 gen=9\n');
    expect(counter.corrupt).toEqual(['CORRUPT page=3 cpu=0 gen=9']);
  });

  test('keep a limited number of reports and count them all', () => {
    const counter = new SweepCounter(1);
    counter.push('CORRUPT page=3 cpu=0 gen=9\n'.repeat(5000));
    expect([counter.corrupt.length, counter.corruptCount]).toEqual([100, 5000]);
  });
});
