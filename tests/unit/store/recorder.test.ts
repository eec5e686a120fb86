// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { recordRun } from '../../../src-main/manager/recording/recorder.ts';
import { runSampleOf } from '../../../src-main/manager/recording/sampler.ts';
import { migrateReply } from '../../../src-main/manager/machines/replies.ts';
import { openStore, StoreError } from '../../../src-main/manager/store/store.ts';
import type { Store } from '../../../src-main/manager/store/store.ts';
import { newRun, randomSample, seededRandom, storeFolder } from '../../support/store-samples.ts';
import { storeProcess } from '../../support/store-process.ts';

const ended = { outcome: 'completed', endedAt: '2026-01-02T03:05:00.000Z' } as const;
const random = seededRandom(11);

describe('a recorder', () => {
  it('writes all it is told, in order, and the end', async () => {
    using place = storeFolder();
    const [run, problems] = [newRun(), [] as string[]];
    const store = await openStore({ path: place.path });
    const recorder = recordRun(run, { store, onProblem: (problem) => problems.push(problem), flushEveryMs: 1 });
    const samples = Array.from({ length: 300 }, (_, t) => randomSample(t, random));
    for (const [index, sample] of samples.entries()) {
      recorder.sample(sample);
      if (index % 10 === 0)
        recorder.event({ t: index, side: 'user', level: 'change', name: 'limit', text: String(index) });
      if (index % 50 === 0) await store.countSamples(run.id).catch(() => 0); // lets flushes happen in between
    }
    recorder.update({ passes: 4 });
    recorder.update({ passes: 5, phase: 'nearly there' });
    await recorder.finish(ended);
    expect([problems, recorder.isWhole]).toEqual([[], true]);
    expect(await store.readSamples(run.id, { from: 0, limit: 1000 })).toEqual(samples);
    const events = await store.readEvents(run.id, { from: 0, limit: 1000 });
    expect(events.map(({ seq, text }) => [seq, text])).toEqual(
      Array.from({ length: 30 }, (_, n) => [n + 1, String(n * 10)]),
    );
    expect(await store.getRun(run.id)).toEqual({ ...run, ...ended, passes: 5, phase: 'nearly there' });
    await store.close();
  });

  it('leaves no timer behind that would hold a process that is done', async () => {
    using place = storeFolder();
    const store = await openStore({ path: place.path });
    const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();
    const recorder = recordRun(newRun(), { store, onProblem: () => undefined, finishWithinMs: 60_000 });
    await recorder.finish(ended);
    expect(recorder.isWhole).toBe(true);
    expect(timers()).toBeLessThanOrEqual(before);
    await store.close();
  });

  it('writes also what it was told while it wrote, when the end comes in that moment', async () => {
    using place = storeFolder();
    const [run, store] = [newRun(), await openStore({ path: place.path })];
    const finished = Promise.withResolvers<void>();
    const appendSamples: Store['appendSamples'] = async (id, batch) => {
      const count = await store.appendSamples(id, batch);
      if (count === 1) {
        recorder.sample(randomSample(100, random));
        recorder.finish(ended).then(finished.resolve, finished.reject);
      }
      return count;
    };
    const recorder = recordRun(run, {
      store: { ...store, appendSamples },
      onProblem: () => undefined,
      flushEveryMs: 1,
    });
    recorder.sample(randomSample(0, random));
    await finished.promise;
    expect(await store.countSamples(run.id)).toBe(2);
    expect((await store.getRun(run.id)).outcome).toBe('completed');
    await store.close();
  });

  it('tells once that the file is locked, and writes all when it is free again', async () => {
    using place = storeFolder();
    await (await openStore({ path: place.path })).close();
    await using other = storeProcess('lock-writers', place.path);
    await other.next();
    const store = await openStore({ path: place.path, busyTimeoutMs: 20 });
    let toldLocked: () => void;
    const locked = new Promise<void>((resolve) => (toldLocked = resolve));
    const problems: string[] = [];
    const run = newRun();
    const onProblem = (problem: string): void => {
      problems.push(problem);
      toldLocked();
    };
    const recorder = recordRun(run, { store, onProblem, finishWithinMs: 8000 });
    recorder.sample(randomSample(0, random));
    await locked;
    recorder.sample(randomSample(100, random));
    const finished = recorder.finish(ended);
    await other.finish();
    await finished;
    expect(problems).toEqual([expect.stringContaining('this run is not recorded: the history in')]);
    expect(recorder.isWhole).toBe(true);
    expect(await store.countSamples(run.id)).toBe(2);
    expect((await store.getRun(run.id)).outcome).toBe('completed');
    await store.close();
  });

  it('gives up in time when nothing can be written, and never throws', async () => {
    const problems: string[] = [];
    const store = Promise.reject<Store>(new StoreError('FAILED', 'no thread can be started'));
    const recorder = recordRun(newRun(), {
      store,
      onProblem: (problem) => problems.push(problem),
      finishWithinMs: 100,
    });
    recorder.sample(randomSample(0, random));
    await recorder.finish(ended);
    expect(problems).toEqual([
      'this run is not recorded: no thread can be started',
      'the end of this run is not recorded: the history could not be written in time',
    ]);
    expect(recorder.isWhole).toBe(false);
  });

  it('says that a run is only in memory', async () => {
    using place = storeFolder();
    rmSync(dirname(place.path), { recursive: true, force: true });
    mkdirSync(place.folder, { recursive: true });
    writeFileSync(dirname(place.path), 'a file in the way');
    const store = await openStore({ path: place.path });
    const problems: string[] = [];
    const recorder = recordRun(newRun(), { store, onProblem: (problem) => problems.push(problem) });
    await recorder.finish(ended);
    expect(problems).toHaveLength(1);
    expect(recorder.isWhole).toBe(false);
    await store.close();
  });

  it('drops a batch that is not valid, and keeps the others', async () => {
    using place = storeFolder();
    const store = await openStore({ path: place.path });
    const run = newRun();
    const problems: string[] = [];
    const recorder = recordRun(run, { store, onProblem: (problem) => problems.push(problem) });
    recorder.event({ t: -1, side: 'user', level: 'info', name: 'x', text: 'before time began' });
    recorder.sample(randomSample(0, random));
    await recorder.finish(ended);
    expect(problems).toEqual([expect.stringContaining('a part of this run is not recorded')]);
    expect([await store.countEvents(run.id), await store.countSamples(run.id)]).toEqual([0, 1]);
    await store.close();
  });
});

describe('a sample', () => {
  const facts = { destination: null, downtimeLimitMs: 300, maxBandwidth: 0 };
  const active = migrateReply.parse({
    status: 'active',
    'expected-downtime': 120,
    ram: {
      transferred: 3_000_000n,
      remaining: 5000,
      total: 10_000_000,
      mbps: 80,
      'dirty-pages-rate': 1000,
      'dirty-sync-count': 2,
      'page-size': 4096,
      normal: 700,
      duplicate: 20,
    },
  });

  it('counts throughput from what went over the link since the one before', () => {
    const before = runSampleOf({ t: 100, source: migrateReply.parse({ status: 'setup' }), previous: null, ...facts });
    expect(before).toMatchObject({ status: 'setup', pass: 0, transferredBytes: 0, throughput: 0, dirtyRate: null });
    const sample = runSampleOf({ t: 300, source: active, previous: before, ...facts });
    expect(sample).toMatchObject({
      throughput: 15_000_000,
      dirtyRate: 4_096_000,
      thresholdBytes: 3_000_000,
      expectedDowntimeMs: 120,
      normalPages: 700,
      zeroPages: 20,
      destinationStatus: null,
    });
  });

  it('keeps the counters of the one before where a failed migration has none', () => {
    const previous = runSampleOf({ t: 100, source: active, previous: null, ...facts });
    const failed = runSampleOf({ t: 200, source: migrateReply.parse({ status: 'failed' }), previous, ...facts });
    expect(failed).toMatchObject({
      status: 'failed',
      transferredBytes: 3_000_000,
      pass: 2,
      throughput: 0,
      normalPages: 700,
    });
  });
});
