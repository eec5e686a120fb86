// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, vi } from 'vitest';
import { SCHEMA_STEPS } from '../../../src-main/manager/store/schema.ts';
import { openStore, StoreError } from '../../../src-main/manager/store/store.ts';
import { newRun, randomSample, seededRandom, storeFolder } from '../../support/store-samples.ts';
import { canMount, storeProcess } from '../../support/store-process.ts';

// Processes that each start Node and the database: on a busy box that takes a while.
vi.setConfig({ testTimeout: 60_000 });

/** A closed store with one finished run of 100 samples. */
async function filled(path: string): Promise<string> {
  const store = await openStore({ path });
  const run = newRun();
  await store.beginRun(run);
  const random = seededRandom(3);
  for (let n = 0; n < 20; n += 1) {
    await store.appendSamples(
      run.id,
      Array.from({ length: 50 }, (_, t) => randomSample(t, random)),
    );
  }
  await store.finishRun(run.id, { outcome: 'completed', endedAt: '2026-01-02T03:05:00.000Z' });
  await store.close();
  return run.id;
}

async function report(command: string, path: string, mounts?: string): Promise<Record<string, unknown>> {
  await using child = storeProcess(command, path, mounts);
  return await child.next(); // not before it is disposed
}

describe('a store that another process locks', () => {
  it('is readable while another writes, says that it cannot record, and records again afterwards', async () => {
    using place = storeFolder();
    const id = await filled(place.path);
    await using other = storeProcess('lock-writers', place.path);
    expect(await other.next()).toEqual({ locked: true });
    const store = await openStore({ path: place.path, busyTimeoutMs: 100, whenUnusable: 'throw' });
    try {
      expect(store.problem).toContain('is locked by another program: close the program');
      expect(await store.countSamples(id)).toBe(1000);
      const problems: (string | null)[] = [];
      store.onProblem((problem) => problems.push(problem));
      await expect(store.beginRun(newRun())).rejects.toMatchObject({ code: 'LOCKED' });
      await other.finish();
      await store.beginRun(newRun());
      expect(store.problem).toBeNull();
      expect(problems).toEqual([null]);
      expect((await store.listRuns({ limit: 5 })).total).toBe(2);
    } finally {
      await store.close();
    }
  });

  it('against readers too, is kept in memory instead, or refused to those who only read', async () => {
    using place = storeFolder();
    await filled(place.path);
    await using other = storeProcess('lock-all', place.path);
    expect(await other.next()).toEqual({ locked: true });
    expect(await report('report', place.path)).toMatchObject({
      ok: {
        problem: expect.stringContaining('is locked by another program') as string,
        total: 0,
        written: { ok: 20 },
        after: 1,
      },
    });
    expect(await report('report-throw', place.path)).toMatchObject({
      code: 'LOCKED',
      message: `the history in ${place.path} is locked by another program: close the program that uses it and try again`,
    });
    await other.finish();
    expect(await report('report', place.path)).toMatchObject({ ok: { problem: null, total: 1, samples: 1000 } });
  });
});

describe('a damaged store', () => {
  const damage: readonly (readonly [string, (path: string) => void])[] = [
    ['a header of other bytes', (path) => overwrite(path, 0, Buffer.alloc(100, 0x5a))],
    ['a page of other bytes', (path) => overwrite(path, 5 * 4096, Buffer.alloc(4096, 0x5a))],
    ['a lost half', (path) => writeFileSync(path, readFileSync(path).subarray(0, 9 * 4096))],
    [
      'text in place of a database',
      (path) => writeFileSync(path, 'not a database, but more than a few bytes\n'.repeat(9)),
    ],
  ];

  it.each(damage)('(%s) is set aside whole, and a new one begun', async (_, spoil) => {
    using place = storeFolder();
    await filled(place.path);
    spoil(place.path);
    const bytes = readFileSync(place.path);
    const store = await openStore({ path: place.path });
    try {
      expect(store.problem).toBeNull();
      expect(store.notices).toHaveLength(1);
      const aside = /was damaged: it is kept as (\S+), and a new one was begun/.exec(store.notices[0]!)![1]!;
      expect(readFileSync(aside).equals(bytes)).toBe(true);
      expect((await store.listRuns({ limit: 1 })).total).toBe(0);
      await store.beginRun(newRun());
    } finally {
      await store.close();
    }
    const again = await openStore({ path: place.path });
    expect([again.notices, (await again.listRuns({ limit: 1 })).total]).toEqual([[], 1]);
    await again.close();
  });

  it('that two processes find at once is set aside once, and both go on with one new store', async () => {
    for (let round = 0; round < 2; round += 1) {
      using place = storeFolder();
      await filled(place.path);
      overwrite(place.path, 0, Buffer.alloc(100, 0x5a));
      await using one = storeProcess('write', place.path);
      await using other = storeProcess('write', place.path);
      const runs = await Promise.all([one.next(), other.next()]);
      expect(await Promise.all([one.next(), other.next()])).toEqual([{ done: true }, { done: true }]);
      expect(runs.map(({ problem }) => problem)).toEqual([null, null]);
      const store = await openStore({ path: place.path });
      for (const { run } of runs) expect(await store.countSamples(String(run))).toBe(1000);
      await store.close();
      const damaged = readdirSync(dirname(place.path)).filter((name) => /damaged-[0-9TZ]+(-\d+)?$/.test(name));
      expect(damaged).toHaveLength(1);
    }
  });

  function overwrite(path: string, at: number, bytes: Buffer): void {
    const content = readFileSync(path);
    bytes.copy(content, at);
    writeFileSync(path, content);
  }
});

describe('a store that is not for this Godwit', () => {
  it('because it is newer is not written, and both versions are named', async () => {
    using place = storeFolder();
    await filled(place.path);
    setPragma(place.path, `user_version = ${String(SCHEMA_STEPS.length + 1)}`);
    const bytes = readFileSync(place.path);
    const store = await openStore({ path: place.path });
    const versions = `(its version is ${String(SCHEMA_STEPS.length + 1)}, this Godwit knows ${String(SCHEMA_STEPS.length)})`;
    expect(store.problem).toBe(
      `the history in ${place.path} was written by a newer Godwit ${versions}: update Godwit, or set GODWIT_HOME to another folder`,
    );
    await store.beginRun(newRun()); // in memory: a machine can still be moved
    await store.close();
    expect(readFileSync(place.path).equals(bytes)).toBe(true);
    const refused = openStore({ path: place.path, whenUnusable: 'throw' });
    await expect(refused).rejects.toThrow(StoreError);
    await expect(refused).rejects.toMatchObject({ code: 'NEWER' });
  });

  it('because another program made it is left alone', async () => {
    using place = storeFolder();
    mkdirSync(dirname(place.path));
    const db = new Database(place.path);
    db.exec('CREATE TABLE bookmarks (url)');
    db.close();
    const bytes = readFileSync(place.path);
    const store = await openStore({ path: place.path });
    expect(store.problem).toContain('it is a database of another program; set GODWIT_HOME');
    await store.close();
    expect(readFileSync(place.path).equals(bytes)).toBe(true);
  });

  function setPragma(path: string, pragma: string): void {
    const db = new Database(path);
    db.pragma(pragma);
    db.close();
  }
});

describe('a store where its folder cannot be', () => {
  it('is kept in memory, with the reason', async () => {
    using place = storeFolder();
    writeFileSync(`${place.folder}/data`, 'a file where the folder should be');
    const store = await openStore({ path: place.path });
    expect(store.problem).toContain(`the history in ${place.path} cannot be `);
    await store.beginRun(newRun());
    expect((await store.listRuns({ limit: 1 })).total).toBe(1);
    await store.close();
    await expect(openStore({ path: place.path, whenUnusable: 'throw' })).rejects.toThrow(StoreError);
  });
});

describe.skipIf(!canMount)('a store on a disk', () => {
  it.each(['report', 'report-throw'])(
    'that is read-only is shown, and nothing new is recorded (%s)',
    async (command) => {
      using place = storeFolder();
      await filled(place.path);
      const data = dirname(place.path);
      const bytes = readFileSync(place.path);
      const mounts = `mount --bind '${data}' '${data}' && mount -o remount,bind,ro '${data}'`;
      expect(await report(command, place.path, mounts)).toEqual({
        ok: {
          problem: `the history in ${place.path} cannot be written: nothing new is recorded until file and folder are writable`,
          notices: [],
          total: 1,
          samples: 1000,
          written: { ok: 20 },
          after: 2,
        },
      });
      expect(readFileSync(place.path).equals(bytes)).toBe(true);
      expect(readdirSync(data)).toEqual(['godwit.db']);
    },
  );

  it('that is full keeps what is there, tells, and goes on when there is room', async () => {
    using place = storeFolder();
    const data = dirname(place.path);
    mkdirSync(data);
    const mounts = `mount -t tmpfs -o size=2m tmpfs '${data}' && head -c 600000 /dev/zero > '${place.path}.ballast'`;
    const told = await report('fill', place.path, mounts);
    const sentence = `no room to record in ${place.path}: what is there is kept; free some space on its disk`;
    expect(told).toMatchObject({ failure: { code: 'FULL', message: sentence }, problem: sentence, had: true });
    expect(told['kept']).toBeGreaterThan(0);
    expect(told['counted']).toBe(told['kept']);
    expect(told['retry']).toEqual({ ok: Number(told['kept']) + 20 });
    expect(told['problemAfter']).toBeNull();
    expect(existsSync(place.path) || statSync(data).isDirectory()).toBe(true);
  });
});
