// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_SETTINGS } from '../../../src-shared/contract.ts';
import { openStore } from '../../../src-main/manager/store/store.ts';
import type { MachineRow, Store } from '../../../src-main/manager/store/store.ts';
import { event, newRun, randomSample, seededRandom, storeFolder } from '../../support/store-samples.ts';

let place: ReturnType<typeof storeFolder>;
let store: Store;

beforeEach(async () => {
  place = storeFolder();
  store = await openStore({ path: place.path });
});
afterEach(async () => {
  await store.close();
  place[Symbol.dispose]();
});

async function reopen(): Promise<void> {
  await store.close();
  store = await openStore({ path: place.path });
}

const machine = (change: Partial<MachineRow> = {}): MachineRow => ({
  id: randomUUID(),
  kind: 'godwit',
  settings: {
    name: 'web',
    memoryBytes: 1024 ** 3,
    cpus: 2,
    cpuModel: 'x86-64-v2',
    workingSetBytes: 4096,
    dirtyRate: 100,
    lifetime: 'detached',
  },
  receiver: false,
  process: null,
  lastWords: null,
  createdAt: '2026-01-01T00:00:00.000Z',
  deletedAt: null,
  savedTo: null,
  ...change,
});

describe('the store', () => {
  it('opens without a problem, in a folder for this user alone', () => {
    expect(store.problem).toBeNull();
    expect(store.notices).toEqual([]);
    expect(statSync(dirname(place.path)).mode & 0o777).toBe(0o700);
  });

  it('is kept when it is closed and opened again', async () => {
    const [m, run] = [machine(), newRun()];
    await store.insertMachine(m);
    await store.beginRun(run);
    await reopen();
    expect(await store.listMachines()).toEqual([m]);
    expect(await store.getRun(run.id)).toEqual(run);
  });

  it('refuses calls after it is closed, and closing again is no error', async () => {
    await store.close();
    await store.close();
    await expect(store.listMachines()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('finishes what was asked before it closes', async () => {
    const run = newRun();
    const writes = [
      store.beginRun(run),
      ...Array.from({ length: 100 }, (_, n) => store.appendEvents(run.id, [event(n + 1)])),
    ];
    await Promise.all([...writes, store.close()]);
    store = await openStore({ path: place.path });
    expect(await store.countEvents(run.id)).toBe(100);
  });
});

describe('machines', () => {
  it('are changed, taken off the list, put back, and removed for good', async () => {
    const m = machine();
    await store.insertMachine(m);
    const identity = { pid: 12, startTicks: 99, bootId: 'b', pidNamespace: 'p' };
    const process = { identity, folder: '/f', qmpPath: '/f/q', userQmpPath: null, serialPath: null };
    await store.updateMachine(m.id, { process, lastWords: 'out of memory' });
    expect(await store.listMachines()).toEqual([{ ...m, process, lastWords: 'out of memory' }]);
    await store.updateMachine(m.id, { deletedAt: '2026-01-03T00:00:00.000Z' });
    expect(await store.listMachines()).toEqual([]);
    expect(await store.listMachines({ deleted: true })).toHaveLength(1);
    await store.updateMachine(m.id, { deletedAt: null });
    expect(await store.listMachines()).toHaveLength(1);
    await store.removeMachine(m.id);
    expect(await store.listMachines({ deleted: true })).toEqual([]);
  });

  it('that are not there, there already, or not valid are refused by a code', async () => {
    const m = machine();
    await store.insertMachine(m);
    await expect(store.insertMachine(m)).rejects.toMatchObject({ code: 'EXISTS' });
    await expect(store.updateMachine(randomUUID(), {})).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(store.removeMachine(randomUUID())).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const settings = { ...m.settings, cpus: 99 };
    await expect(store.updateMachine(m.id, { settings })).rejects.toMatchObject({ code: 'INVALID' });
    expect(await store.listMachines()).toEqual([m]);
    expect(store.problem).toBeNull();
  });
});

describe('runs', () => {
  it('are updated and finished, and forget their owner then', async () => {
    const gone = { pid: 1, startTicks: 1, bootId: 'an earlier boot', pidNamespace: 'pid:[1]' };
    const run = newRun();
    await store.beginRun(run, gone);
    await store.updateRun(run.id, { passes: 3, status: 'active', guestPauseMs: 12.5 });
    const ended = { outcome: 'completed', endedAt: '2026-01-02T03:05:00.000Z', downtimeMs: 41.5 } as const;
    await store.finishRun(run.id, ended);
    await reopen();
    expect(await store.getRun(run.id)).toEqual({ ...run, passes: 3, status: 'active', guestPauseMs: 12.5, ...ended });
  });

  it('are listed newest first, in pages, with the total of the search', async () => {
    const runs = Array.from({ length: 25 }, (_, n) =>
      newRun({
        startedAt: `2026-01-02T03:04:${String(n).padStart(2, '0')}.000Z`,
        machineName: n % 5 === 0 ? 'db_1 100%' : 'web',
        outcome: n % 2 === 0 ? 'completed' : 'failed',
      }),
    );
    for (const run of runs) await store.beginRun(run);
    const newestFirst = runs.map(({ id }) => id).reverse();
    const first = await store.listRuns({ limit: 10 });
    const second = await store.listRuns({ limit: 100, before: first.runs.at(-1)!.startedAt });
    expect([...first.runs, ...second.runs].map(({ id }) => id)).toEqual(newestFirst);
    expect([first.total, second.total]).toEqual([25, 25]);
    expect((await store.listRuns({ limit: 2, search: 'DB_1 100%' })).total).toBe(5);
    expect((await store.listRuns({ limit: 2, search: 'db%' })).total).toBe(0);
    expect((await store.listRuns({ limit: 2, search: '_' })).total).toBe(5);
    expect((await store.listRuns({ limit: 2, search: runs[3]!.id.slice(0, 13) })).runs).toHaveLength(1);
    expect((await store.listRuns({ limit: 2, outcome: 'failed' })).total).toBe(12);
  });

  it('take their samples and events with them when they are deleted', async () => {
    const run = newRun();
    await store.beginRun(run);
    await store.appendSamples(run.id, [randomSample(0, seededRandom(1))]);
    await store.appendEvents(run.id, [event(1)]);
    await store.deleteRun(run.id);
    for (const gone of [store.getRun(run.id), store.countSamples(run.id), store.deleteRun(run.id)]) {
      await expect(gone).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
    await store.beginRun(run);
    expect(await store.countSamples(run.id)).toBe(0);
  });

  it('that ended long ago are deleted, active ones never', async () => {
    const [old, fresh, active] = [newRun(), newRun(), newRun()];
    for (const run of [old, fresh, active]) await store.beginRun(run);
    await store.finishRun(old.id, { outcome: 'completed', endedAt: '2026-01-02T00:00:00.000Z' });
    await store.finishRun(fresh.id, { outcome: 'completed', endedAt: '2026-03-02T00:00:00.000Z' });
    expect(await store.deleteRunsEndedBefore('2026-02-01T00:00:00.000Z')).toBe(1);
    const left = (await store.listRuns({ limit: 10 })).runs.map(({ id }) => id);
    expect(new Set(left)).toEqual(new Set([fresh.id, active.id]));
  });

  it('give back 18,000 samples as they were, whole and in ranges', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const samples = Array.from({ length: 18_000 }, (_, n) => randomSample(n * 100 + random(), random));
    const run = newRun();
    await store.beginRun(run);
    let at = 0;
    while (at < samples.length) {
      const size = 1 + Math.floor(random() * 2000);
      const count = await store.appendSamples(run.id, samples.slice(at, at + size));
      at = Math.min(samples.length, at + size);
      expect(count, `seed ${String(seed)}`).toBe(at);
    }
    await reopen();
    expect(await store.readSamples(run.id, { from: 0, limit: 20_000 }), `seed ${String(seed)}`).toEqual(samples);
    const from = Math.floor(random() * 17_000);
    expect(await store.readSamples(run.id, { from, limit: 500 })).toEqual(samples.slice(from, from + 500));
  });

  it('keep an event once when its batch is sent again', async () => {
    const run = newRun();
    await store.beginRun(run);
    await store.appendEvents(run.id, [event(1), event(2)]);
    expect(await store.appendEvents(run.id, [event(2, 'another text'), event(3)])).toBe(3);
    expect(await store.readEvents(run.id, { from: 1, limit: 5 })).toEqual([event(2), event(3)]);
  });

  it('refuse a batch as a whole when one row is not valid', async () => {
    const run = newRun();
    await store.beginRun(run);
    const good = randomSample(0, seededRandom(7));
    await expect(store.appendSamples(run.id, [good, { ...good, t: -1 }])).rejects.toMatchObject({ code: 'INVALID' });
    expect(await store.countSamples(run.id)).toBe(0);
  });
});

describe('profiles and settings', () => {
  const saved = (id: string, name: string): Parameters<Store['putProfile']>[0] => ({
    id,
    profile: { schema: 1, name, description: '', settings: { capabilities: {}, parameters: { 'downtime-limit': 50 } } },
  });

  it('are listed by name, replaced by id, and never take the name of another', async () => {
    await store.putProfile(saved('b', 'zebra'));
    await store.putProfile(saved('a', 'Ant'));
    await store.putProfile(saved('b', 'Bee'));
    expect((await store.listProfiles()).map(({ profile }) => profile.name)).toEqual(['Ant', 'Bee']);
    await expect(store.putProfile(saved('c', 'Bee'))).rejects.toMatchObject({ code: 'EXISTS' });
    await store.deleteProfile('b');
    expect(await store.listProfiles()).toEqual([saved('a', 'Ant')]);
  });

  it('begin with the defaults and keep what was set', async () => {
    expect(await store.getSettings()).toEqual(DEFAULT_SETTINGS);
    expect(await store.setSettings({ theme: 'dark', keepRunsDays: 30 })).toMatchObject({ theme: 'dark' });
    await reopen();
    expect(await store.getSettings()).toEqual({ ...DEFAULT_SETTINGS, theme: 'dark', keepRunsDays: 30 });
    await expect(store.setSettings({ keepRunsDays: -1 })).rejects.toMatchObject({ code: 'INVALID' });
  });
});
