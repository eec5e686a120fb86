// SPDX-License-Identifier: Apache-2.0
/** Rows for the store's tests. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIGRATION_STATUSES } from '../../src-shared/migration/status.ts';
import type { EndFacts, RecordedRun, RunEvent, RunSample } from '../../src-shared/run.ts';

/** A folder that is removed at the end of the block, and the path of a store in it. */
export function storeFolder(): { readonly folder: string; readonly path: string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), 'gw-store-'));
  return {
    folder,
    path: join(folder, 'data', 'godwit.db'),
    [Symbol.dispose]: () => {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const silentEnd: EndFacts = {
  pid: 4711,
  answers: true,
  runState: 'running',
  status: 'active',
  contactAgeMs: 12,
  sentence: null,
};

/** A run that has just begun. */
export function newRun(change: Partial<RecordedRun> = {}): RecordedRun {
  return {
    id: randomUUID(),
    machineId: null,
    machineName: 'demo guest',
    sourceLabel: 'process 4711',
    destinationLabel: 'process 4712',
    profileName: 'Balanced',
    origin: 'app',
    outcome: 'active',
    startedAt: '2026-01-02T03:04:05.678Z',
    endedAt: null,
    memoryBytes: 268_435_456,
    totalTimeMs: null,
    downtimeMs: null,
    transferredBytes: null,
    passes: null,
    error: null,
    status: 'setup',
    phase: 'Setting up',
    settings: { capabilities: { events: true }, parameters: { 'max-bandwidth': 0, 'downtime-limit': 300 } },
    destination: { kind: 'new-process' },
    uri: 'unix:/run/x.sock',
    encrypted: false,
    cpus: 2,
    steps: [{ id: 'setup', passes: null, state: 'active', startMs: 0, endMs: null, bytes: null, note: null }],
    where: {
      guest: 'source',
      runs: true,
      sentence: 'It runs on the source.',
      source: silentEnd,
      destination: silentEnd,
    },
    elapsedMs: 0,
    guestPauseMs: null,
    ...change,
  };
}

/** Numbers that differ from run to run of a test only by their seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A valid sample, anything from 0 to 2^53 in its counters, fractions where they may be. */
export function randomSample(t: number, random: () => number): RunSample {
  const count = (): number => Math.floor(random() * 2 ** Math.floor(random() * 54));
  const fraction = (): number => random() * 2 ** Math.floor(random() * 40);
  const maybe = (value: () => number): number | null => (random() < 0.2 ? null : value());
  const status = (): RunSample['status'] => MIGRATION_STATUSES[Math.floor(random() * MIGRATION_STATUSES.length)]!;
  return {
    t,
    status: status(),
    destinationStatus: random() < 0.2 ? null : status(),
    pass: Math.floor(random() * 1000),
    transferredBytes: count(),
    remainingBytes: count(),
    totalBytes: count(),
    throughput: fraction(),
    dirtyRate: maybe(fraction),
    expectedDowntimeMs: maybe(fraction),
    downtimeLimitMs: count(),
    thresholdBytes: maybe(fraction),
    maxBandwidth: count(),
    throttlePercent: maybe(() => Math.floor(random() * 100)),
    normalPages: count(),
    zeroPages: count(),
  };
}

export function event(seq: number, text = `event ${String(seq)}`): RunEvent {
  return { seq, t: seq * 10, side: 'source', level: 'event', name: 'MIGRATION', text };
}
