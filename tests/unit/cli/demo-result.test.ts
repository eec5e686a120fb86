// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { listeningUri, ProgressWatchdog } from '../../../src-main/manager/demo/migration-watch.ts';
import { assembleResult } from '../../../src-main/manager/demo/result.ts';
import type { DemoFacts } from '../../../src-main/manager/demo/result.ts';
import type { Heartbeat } from '../../../src-main/manager/machines/replies.ts';

const beat = (vcpu: number, first: bigint, generation: bigint, firstNs: bigint, lastNs: bigint): Heartbeat => ({
  vcpu,
  count: Number(generation - first) / 10 + 1,
  'first-generation': first,
  generation,
  'first-ns': firstNs,
  'last-ns': lastNs,
  'longest-gap-ns': 1_000_000n,
  'longest-gap-end-ns': lastNs,
});

const facts: DemoFacts = {
  mode: 'precopy',
  pids: { source: 11, destination: 12 },
  events: [
    { side: 'source', name: 'STOP', data: {}, at: 1030.0005 },
    { side: 'destination', name: 'MIGRATION', data: { status: 'setup', big: 5n }, at: 990 },
  ],
  migrateAt: { ms: 1000, ns: 1_000_000_000n },
  source: { status: 'completed', ram: { transferred: 9007199254740993n, normal: 7n }, runstate: 'postmigrate' },
  destination: { status: 'completed', runstate: 'running' },
  before: [beat(0, 0n, 100n, 1n, 900n), beat(1, 0n, 200n, 1n, 900n)],
  atStop: [beat(0, 0n, 150n, 1n, 2_000_000_000n), beat(1, 0n, 250n, 1n, 2_000_000_000n)],
  after: [beat(0, 160n, 400n, 2_048_000_000n, 3_000_000_000n), beat(1, 260n, 500n, 2_048_500_000n, 3_000_000_000n)],
  sweepsAfter: 2,
  corrupt: [],
  corruptCount: 0,
};

describe('the result of the demo', () => {
  test('has exactly the documented shape', () => {
    expect(assembleResult(facts)).toEqual({
      problems: [],
      result: {
        mode: 'precopy',
        verified: true,
        pids: { source: 11, destination: 12 },
        events: [
          { side: 'destination', name: 'MIGRATION', data: { status: 'setup', big: 5 }, t: -10 },
          { side: 'source', name: 'STOP', data: {}, t: 30.001 },
        ],
        source: { status: 'completed', ram: { transferred: '9007199254740993', normal: 7 }, runstate: 'postmigrate' },
        destination: { status: 'completed', runstate: 'running' },
        guest: {
          generationBefore: 300,
          generationAtStop: 400,
          generationAfter: 900,
          sweepsAfter: 2,
          corrupt: 0,
          longestPauseMs: 48.5,
        },
      },
    });
  });

  test.each<[string, Partial<DemoFacts>, string]>([
    ['the source failed', { source: { status: 'failed', runstate: 'running' } }, 'the source is failed, not completed'],
    ['the destination is gone', { destination: null }, 'the destination is gone, not completed'],
    [
      'the destination waits',
      { destination: { status: 'completed', runstate: 'paused' } },
      'the destination is paused, not running',
    ],
    [
      'the guest found corruption',
      { corrupt: ['CORRUPT page=1'], corruptCount: 1 },
      'the guest reported corruption 1 times, first: CORRUPT page=1',
    ],
  ])('is not verified when %s', (_, change, problem) => {
    const verdict = assembleResult({ ...facts, ...change });
    expect(verdict.result.verified).toBe(false);
    expect(verdict.problems).toEqual([problem]);
  });

  test('of a migration that ended early counts what there is', () => {
    const early = { ...facts, source: null, destination: null, atStop: undefined, after: undefined, sweepsAfter: 0 };
    expect(assembleResult(early).result).toMatchObject({
      verified: false,
      source: null,
      guest: { generationBefore: 300, generationAtStop: 300, generationAfter: 300, sweepsAfter: 0 },
    });
  });
});

describe('the address of a listening destination', () => {
  test.each([
    [{ type: 'inet', host: '127.0.0.1', port: '4444' }, 'tcp:127.0.0.1:4444'],
    [{ type: 'inet', host: '::1', port: '4444' }, 'tcp:[::1]:4444'],
    [{ type: 'unix', path: '/run/m.sock' }, 'unix:/run/m.sock'],
    [{ type: 'vsock' }, undefined],
  ])('%j is %s', (address, uri) => {
    expect(listeningUri({ 'socket-address': [address] })).toBe(uri);
  });

  test('is unknown where none is told', () => {
    expect(listeningUri({})).toBeUndefined();
  });
});

test('a migration hangs only when nothing has changed for longer than the limit', () => {
  const info = (transferred: number) => ({
    status: 'active',
    ram: {
      transferred,
      remaining: 1,
      total: 2,
      mbps: 0,
      'dirty-pages-rate': 0,
      'dirty-sync-count': 1,
      'page-size': 4096,
    },
  });
  const watchdog = new ProgressWatchdog(1000);
  expect(watchdog.isStuck(info(1), 5000)).toBe(false);
  expect(watchdog.isStuck(info(1), 6000)).toBe(false);
  expect(watchdog.isStuck(info(2), 6500)).toBe(false);
  expect(watchdog.isStuck(info(2), 7500)).toBe(false);
  expect(watchdog.isStuck(info(2), 7501)).toBe(true);
});
