// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareRuns } from '../../../src-shared/run-comparison.ts';
import type { RecordedRun } from '../../../src-shared/run.ts';
import { openStore } from '../../../src-main/manager/store/store.ts';
import { runCli } from '../../../src-main/shells/cli/program.ts';
import { comparisonText, listText, runText } from '../../../src-main/shells/cli/history-text.ts';
import { event, newRun, randomSample, seededRandom, storeFolder } from '../../support/store-samples.ts';

const completed: Partial<RecordedRun> = {
  outcome: 'completed',
  endedAt: '2026-01-02T03:05:00.000Z',
  totalTimeMs: 2000,
  downtimeMs: 50,
  transferredBytes: 300 * 1024 ** 2,
  passes: 4,
  guestPauseMs: 60,
};
const a = newRun({ ...completed, id: 'aaaa1111-0000-4000-8000-000000000000', startedAt: '2026-01-01T00:00:00.000Z' });
const b = newRun({
  ...completed,
  id: 'aaaa2222-0000-4000-8000-000000000000',
  startedAt: '2026-01-02T00:00:00.000Z',
  totalTimeMs: 1000,
  downtimeMs: 75,
  settings: { capabilities: { events: true }, parameters: { 'downtime-limit': 100, 'cpu-throttle-initial': 30 } },
});

let place: ReturnType<typeof storeFolder>;
let homeBefore: string | undefined;
beforeEach(async () => {
  place = storeFolder();
  homeBefore = process.env['GODWIT_HOME'];
  process.env['GODWIT_HOME'] = place.folder;
  const store = await openStore();
  expect(store.path).toBe(place.path);
  for (const run of [a, b]) {
    await store.beginRun(run);
    await store.finishRun(run.id, { outcome: run.outcome, endedAt: run.endedAt });
  }
  await store.appendSamples(a.id, [randomSample(0, seededRandom(1))]);
  await store.appendEvents(a.id, [event(1)]);
  await store.close();
});
afterEach(() => {
  process.env['GODWIT_HOME'] = homeBefore;
  place[Symbol.dispose]();
});

async function run(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const text = { stdout: '', stderr: '' };
  const code = await runCli(argv, {
    stdout: { write: (piece) => (text.stdout += piece) },
    stderr: { write: (piece) => (text.stderr += piece) },
    env: {},
    onInterrupt: () => () => undefined,
  });
  return { code, ...text };
}

describe('godwit history', () => {
  it('lists the runs, newest first, with and without the word list', async () => {
    const [plain, list] = [await run('history', '--json'), await run('history', 'list', '--json')];
    expect(plain).toEqual(list);
    const { runs, total } = JSON.parse(plain.stdout) as { runs: { id: string }[]; total: number };
    expect([runs.map(({ id }) => id), total]).toEqual([[b.id, a.id], 2]);
    const text = (await run('history')).stdout.split('\n');
    expect(text[0]).toMatch(/^run +started +outcome +guest/);
    expect(text[1]).toMatch(/^aaaa2222 +2026-01-0\d .* completed +demo guest .* 256 MiB +1\.00 s +75 ms +300 MiB +4$/);
    expect((await run('history', '--outcome', 'failed')).stdout).toBe('No run is like that.\n');
  });

  it('shows all of one, by its id or the beginning of it', async () => {
    const { code, stdout } = await run('history', 'show', 'AAAA1', '--json');
    expect([code, JSON.parse(stdout)]).toEqual([0, { run: a, samples: 1, events: [event(1)] }]);
    expect((await run('history', 'show', a.id)).stdout).toContain('measured by the source');
  });

  it('compares two', async () => {
    const { stdout } = await run('history', 'compare', a.id, b.id, '--json');
    expect(JSON.parse(stdout)).toEqual({ a, b, ...compareRuns(a, b) });
  });

  it.each([
    [['show', 'aaaa'], 2, '2 runs begin with "aaaa": give more of the id'],
    [['show', 'bbbb'], 1, 'there is no run bbbb'],
    [['show', '../x'], 2, '"../x" is no run: give the id of one, or at least 4 characters of it (godwit history)'],
    [['list', '--limit', '0'], 2, '--limit "0" is not a whole number from 1 to 500'],
    [['list', '--outcome', 'good'], 2, '--outcome "good" is none of active, completed, cancelled, failed'],
    [['compare', 'aaaa1'], 2, "missing required argument 'b' (see godwit --help)"],
  ])('refuses %j with a sentence', async (argv, code, sentence) => {
    const told = await run('history', ...argv);
    expect(told).toMatchObject({ code, stdout: '' });
    expect(told.stderr).toContain(`godwit: ${sentence}`);
    expect(told.stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('the comparison', () => {
  const figure = (x: RecordedRun, y: RecordedRun, name: string): unknown =>
    compareRuns(x, y).figures.find((row) => row.name === name);

  it('lists what was set differently, and only that', () => {
    expect(compareRuns(a, b).settings).toEqual([
      { name: 'max-bandwidth', a: 0, b: null },
      { name: 'downtime-limit', a: 300, b: 100 },
      { name: 'cpu-throttle-initial', a: null, b: 30 },
    ]);
    expect(compareRuns(a, a).settings).toEqual([]);
  });

  it('pairs figures with their change, absolute and in percent of the first', () => {
    expect(figure(a, b, 'downtime')).toMatchObject({
      a: 50,
      b: 75,
      change: 25,
      changePercent: 50,
      notComparable: null,
    });
    expect(figure(a, b, 'throughput')).toMatchObject({ unit: 'bytes/s', changePercent: 100 });
    expect(figure({ ...a, downtimeMs: 0 }, b, 'downtime')).toMatchObject({ change: 75, changePercent: null });
  });

  it('says why figures cannot be compared', () => {
    const larger = { ...b, memoryBytes: 2 * b.memoryBytes };
    expect(figure(a, larger, 'total time')).toMatchObject({
      change: null,
      notComparable: 'the guests differ in memory: 256 MiB and 512 MiB',
    });
    expect(figure(a, larger, 'downtime')).toMatchObject({ notComparable: null });
    expect(figure(a, { ...b, outcome: 'cancelled' }, 'downtime')).toMatchObject({
      notComparable: 'B did not complete (cancelled)',
    });
    expect(figure({ ...a, guestPauseMs: null }, b, 'longest pause of the guest')).toMatchObject({
      notComparable: 'not measured in A',
    });
  });
});

describe('the texts', () => {
  it('let no control sequence of foreign text through', () => {
    const bad = '\u001b[2Jx\u0007';
    const foreign = newRun({
      machineName: bad,
      sourceLabel: bad,
      destinationLabel: bad,
      profileName: bad,
      error: bad,
      phase: bad,
      uri: bad,
      settings: { capabilities: {}, parameters: { 'tls-creds': bad } },
    });
    const events = [{ ...event(1, bad), name: bad }];
    const text =
      listText([foreign], 1, false) +
      runText(foreign, 0, events, false) +
      comparisonText(foreign, a, compareRuns(foreign, a), false);
    // eslint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
  });
});
