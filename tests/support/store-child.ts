// SPDX-License-Identifier: Apache-2.0
/**
 * A process of its own that uses a store: node store-child.ts COMMAND PATH. Each line on stdout is one JSON document.
 *
 * - `write`: one run with 50 batches of 20 samples and an event each; `{"run"}` at the beginning, `{"done":true}`
 * - `write-forever`: `{"run"}`, then `{"samples":N}` after each batch, until it is killed
 * - `report` and `report-throw`: what opening, listing and one write come to
 * - `fill`: writes batches until one fails; then makes room and tells whether writing goes on
 * - `lock-writers`, `lock-all`: `{"locked":true}`, and holds the file until stdin ends
 */
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import process from 'node:process';
import Database from 'better-sqlite3';
import { openStore, StoreError } from '../../src-main/manager/store/store.ts';
import type { Store } from '../../src-main/manager/store/store.ts';
import { event, newRun, randomSample, seededRandom } from './store-samples.ts';

const [command = '', path = ''] = process.argv.slice(2);
const tell = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
const random = seededRandom(process.pid);
const batch = (): ReturnType<typeof randomSample>[] => Array.from({ length: 20 }, (_, n) => randomSample(n, random));

async function write(store: Store, batches: number): Promise<void> {
  const run = newRun({ startedAt: new Date().toISOString() });
  await store.beginRun(run);
  tell({ run: run.id, problem: store.problem });
  for (let n = 1; n <= batches; n += 1) {
    await store.appendEvents(run.id, [event(n)]);
    const samples = await store.appendSamples(run.id, batch());
    if (batches === Number.POSITIVE_INFINITY) tell({ samples });
  }
  tell({ done: true });
}

async function attempt(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return { ok: await work() };
  } catch (error) {
    return error instanceof StoreError ? { code: error.code, message: error.message } : { unexpected: String(error) };
  }
}

async function report(whenUnusable: 'memory' | 'throw'): Promise<void> {
  const opened = await attempt(async () => {
    const store = await openStore({ path, whenUnusable, busyTimeoutMs: 200 });
    const before = await store.listRuns({ limit: 10 });
    const [kept] = before.runs;
    const samples = kept && (await store.countSamples(kept.id));
    const run = newRun({ startedAt: new Date().toISOString() });
    const written = await attempt(() => store.beginRun(run).then(() => store.appendSamples(run.id, batch())));
    const after = (await store.listRuns({ limit: 10 })).total;
    const { problem, notices } = store;
    await store.close();
    return { problem, notices, total: before.total, samples, written, after };
  });
  tell(opened);
}

/** The folder beside the file has a ballast that can be removed to make room. */
async function fill(): Promise<void> {
  const store = await openStore({ path });
  const run = newRun();
  await store.beginRun(run);
  let kept = 0;
  let failure: unknown;
  while (failure === undefined && kept < 1e6) {
    const outcome = (await attempt(() => store.appendSamples(run.id, batch()))) as { ok?: number };
    if (outcome.ok === undefined) failure = outcome;
    else kept = outcome.ok;
  }
  const problem = store.problem;
  const counted = await store.countSamples(run.id);
  const ballast = `${path}.ballast`;
  const had = existsSync(ballast);
  rmSync(ballast, { force: true });
  const retry = await attempt(() => store.appendSamples(run.id, batch()));
  tell({ kept, counted, failure, problem, had, retry, problemAfter: store.problem });
  await store.close();
}

async function lock(how: 'EXCLUSIVE' | 'NORMAL'): Promise<void> {
  const db = new Database(path);
  db.pragma(`locking_mode = ${how}`);
  db.exec('BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS held (x)');
  tell({ locked: true });
  process.stdin.resume();
  await once(process.stdin, 'end');
  db.exec('ROLLBACK');
  db.close();
}

switch (command) {
  case 'write':
  case 'write-forever': {
    const store = await openStore({ path });
    await write(store, command === 'write' ? 50 : Number.POSITIVE_INFINITY);
    await store.close();
    break;
  }
  case 'report':
    await report('memory');
    break;
  case 'report-throw':
    await report('throw');
    break;
  case 'fill':
    await fill();
    break;
  case 'lock-writers':
    await lock('NORMAL');
    break;
  case 'lock-all':
    await lock('EXCLUSIVE');
    break;
  default:
    throw new Error(`unknown command ${command}`);
}
