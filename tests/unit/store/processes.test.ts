// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, vi } from 'vitest';
import { identityOf, isGone } from '../../../src-main/manager/store/process-identity.ts';
import { migrateSchema, SCHEMA_STEPS, schemaVersion } from '../../../src-main/manager/store/schema.ts';
import { openStore } from '../../../src-main/manager/store/store.ts';
import { newRun, storeFolder } from '../../support/store-samples.ts';
import { storeProcess } from '../../support/store-process.ts';

// Processes that each start Node and the database: on a busy box that takes a while.
vi.setConfig({ testTimeout: 60_000 });

describe('two processes', () => {
  it('create and write one store at once, and nothing of either is lost', async () => {
    using place = storeFolder();
    await using a = storeProcess('write', place.path);
    await using b = storeProcess('write', place.path);
    const runs = await Promise.all([a.next(), b.next()]);
    expect(runs.map(({ problem }) => problem)).toEqual([null, null]);
    expect(await Promise.all([a.next(), b.next()])).toEqual([{ done: true }, { done: true }]);
    const store = await openStore({ path: place.path });
    for (const { run } of runs) {
      expect(await store.countSamples(String(run))).toBe(1000);
      expect(await store.countEvents(String(run))).toBe(50);
    }
    await store.close();
  });

  it('see each other: a run of one that lives stays active, one whose process was killed is interrupted', async () => {
    using place = storeFolder();
    await using living = storeProcess('write-forever', place.path);
    await using dying = storeProcess('write-forever', place.path);
    const [alive, dead] = (await Promise.all([living.next(), dying.next()])).map(({ run }) => String(run));
    let written = 0;
    while (written < 60) written = Number((await dying.next())['samples']);
    await dying.kill();

    const store = await openStore({ path: place.path });
    try {
      expect(store.notices).toEqual(['1 run was interrupted: the process that drove it is gone']);
      expect((await store.getRun(alive!)).outcome).toBe('active');
      const interrupted = await store.getRun(dead!);
      expect(interrupted).toMatchObject({ outcome: 'interrupted', endedAt: null });
      expect(interrupted.error).toContain(`(${String(dying.child.pid)}) ended before the run did`);
      // Whole batches, all that were confirmed among them.
      const count = await store.countSamples(dead!);
      expect(count).toBeGreaterThanOrEqual(written);
      expect(count % 20).toBe(0);
      await living.kill();
      expect(await store.interruptOrphanedRuns()).toEqual([alive]);
    } finally {
      await store.close();
    }
  });

  it.each([
    ['its machines ended with it, the guest is lost', 'ended', 'ended', 'new-process', 'nowhere'],
    ['one of its machines may live, nobody knows', 'ended', 'alive', 'new-process', 'unknown'],
    ['a machine of it was on another box, nobody knows', 'ended', 'elsewhere', 'new-process', 'unknown'],
    ['it saved the guest to a file, the file may have it', 'ended', 'ended', 'file', 'unknown'],
  ] as const)('of which the owner of a run was killed: where %s', async (_what, source, destination, kind, guest) => {
    using place = storeFolder();
    const child = spawn('sleep', ['60']);
    const owner = identityOf(child.pid!)!;
    child.kill('SIGKILL');
    await once(child, 'exit');
    const pids = { ended: owner.pid, alive: process.pid, elsewhere: null };
    const { where, ...run } = newRun({ destination: kind === 'file' ? { kind, path: '/srv/vm' } : { kind } });
    const end = (which: keyof typeof pids) => ({ ...where.source, pid: pids[which] });
    const store = await openStore({ path: place.path });
    try {
      await store.beginRun({ ...run, where: { ...where, source: end(source), destination: end(destination) } }, owner);
      expect(await store.interruptOrphanedRuns()).toEqual([run.id]);
      expect((await store.getRun(run.id)).where).toMatchObject({ guest, runs: false });
    } finally {
      await store.close();
    }
  });
});

describe('the owner of a run', () => {
  it('is not taken for gone while it lives, nor for alive when its number was given to another', async () => {
    const own = identityOf(process.pid)!;
    expect(isGone(own)).toBe(false);
    expect(isGone({ ...own, startTicks: own.startTicks + 1 })).toBe(true);
    expect(isGone({ ...own, bootId: 'another boot' })).toBe(true);
    expect(isGone({ ...own, pid: 4_194_305, pidNamespace: 'pid:[1]' })).toBe(false);

    const child = spawn('sleep', ['60']);
    const identity = identityOf(child.pid!)!;
    expect(isGone(identity)).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isGone(identity)).toBe(true);
    expect(identityOf(child.pid!)).toBeNull();
  });
});

describe('the schema', () => {
  it('is the same made at once as brought up step by step, and later steps keep what is there', () => {
    const later = 'ALTER TABLE runs ADD COLUMN note TEXT; UPDATE runs SET note = machine_name';
    const steps = [...SCHEMA_STEPS, later];
    for (let start = 0; start < steps.length; start += 1) {
      const [direct, stepped] = [new Database(':memory:'), new Database(':memory:')];
      migrateSchema(direct, steps);
      migrateSchema(stepped, steps.slice(0, start));
      migrateSchema(stepped, steps);
      const shape = (db: Database.Database): unknown[] => db.prepare('SELECT sql FROM sqlite_schema').pluck().all();
      expect(shape(stepped)).toEqual(shape(direct));
      expect(schemaVersion(stepped)).toBe(steps.length);
    }
  });

  it('keeps the machines of the first release, which were saved to no file', async () => {
    using place = storeFolder();
    mkdirSync(dirname(place.path), { recursive: true });
    const db = new Database(place.path);
    migrateSchema(db, SCHEMA_STEPS.slice(0, 1));
    const settings = {
      ...{ name: 'db1', memoryBytes: 2 ** 26, cpus: 1, cpuModel: 'x86-64-v2', workingSetBytes: 2 ** 24, dirtyRate: 0 },
      lifetime: 'attached',
    };
    db.prepare('INSERT INTO machines VALUES (?, ?, ?, 0, NULL, NULL, ?, NULL)').run(
      '4c344722-8b2c-4ea1-8b23-00f12826127c',
      'godwit',
      JSON.stringify(settings),
      '2026-01-01T00:00:00.000Z',
    );
    db.close();
    const store = await openStore({ path: place.path });
    expect(await store.listMachines()).toMatchObject([{ settings, savedTo: null }]);
    await store.close();
  });

  it('stays as it was when a step fails', () => {
    const db = new Database(':memory:');
    migrateSchema(db);
    const broken = [...SCHEMA_STEPS, 'CREATE TABLE half (x); INSERT INTO nothing VALUES (1)'];
    expect(() => migrateSchema(db, broken)).toThrow('nothing');
    expect(schemaVersion(db)).toBe(SCHEMA_STEPS.length);
    expect(db.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").pluck().get()).toBe(0);
  });

  it('keeps a run that was written before a later step', async () => {
    using place = storeFolder();
    const run = newRun();
    const store = await openStore({ path: place.path });
    await store.beginRun(run);
    await store.close();
    const db = new Database(place.path);
    migrateSchema(db, [...SCHEMA_STEPS, 'ALTER TABLE runs ADD COLUMN note TEXT']);
    expect(db.prepare('SELECT id FROM runs').pluck().all()).toEqual([run.id]);
    db.close();
  });
});
