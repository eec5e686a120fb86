// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { RunView } from '../../../src-shared/run.ts';
import { PageDeaths } from '../../../src-main/shells/electron/page-deaths.ts';
import { RunNotices } from '../../../src-main/shells/electron/run-notices.ts';
import { suggestedName } from '../../../src-main/shells/electron/suggested-name.ts';
import { trayMenu } from '../../../src-main/shells/electron/tray-menu.ts';

const run = (status: RunView['status'], outcome: RunView['outcome'] = 'active', id = 'one'): RunView =>
  ({ id, status, outcome, phase: `now ${status}`, machineName: 'db1' }) as RunView;

function titles(runs: readonly RunView[]): (string | null)[] {
  const notices = new RunNotices();
  return runs.map((view) => notices.take(view)?.title ?? null);
}

describe('a notification', () => {
  it('tells of the end of a run, once, with the sentence of its header', () => {
    const notices = new RunNotices();
    expect(notices.take(run('active'))).toBeNull();
    expect(notices.take(run('completed', 'completed'))).toEqual({
      runId: 'one',
      title: 'A migration is done',
      body: 'now completed',
    });
    expect(notices.take(run('completed', 'completed'))).toBeNull();
  });

  it('tells of a pause and of a hold when they begin, and again after they went on', () => {
    expect(
      titles([
        run('active'),
        run('pre-switchover'),
        run('pre-switchover'),
        run('device'),
        run('postcopy-paused'),
        run('postcopy-active'),
        run('postcopy-paused'),
        run('failed', 'failed'),
      ]),
    ).toEqual([
      null,
      'A migration waits for you',
      null,
      null,
      'A migration is paused',
      null,
      'A migration is paused',
      'A migration failed',
    ]);
  });

  it('tells nothing of a run that was over before it was heard of', () => {
    expect(titles([run('cancelled', 'cancelled')])).toEqual([null]);
    expect(titles([run('pre-switchover')])).toEqual(['A migration waits for you']);
  });

  it('keeps two runs apart', () => {
    expect(
      titles([run('active', 'active', 'a'), run('active', 'active', 'b'), run('completed', 'completed', 'b')]),
    ).toEqual([null, null, 'A migration is done']);
  });
});

describe('a run that does not converge', () => {
  const inPass = (pass: number, remainingBytes: number): RunView =>
    ({ ...run('active'), sample: { pass, remainingBytes } }) as RunView;

  it('is told of once, after passes that left no less', () => {
    const left = [1000, 100, 100, 99, 100, 20, 20, 20, 20];
    const views = left.flatMap((bytes, index) => [inPass(index + 1, bytes), inPass(index + 1, 1)]);
    const told = titles(views).map((title, index) => (title === null ? null : [title, views[index]?.sample?.pass]));
    expect(told.filter((one) => one !== null)).toEqual([['A migration does not finish by itself', 4]]);
  });

  it('is not told of while it gets nearer', () => {
    expect(titles([1000, 500, 250, 120, 60, 30].map((bytes, index) => inPass(index + 1, bytes)))).toEqual(
      Array(6).fill(null),
    );
  });
});

describe('the tray', () => {
  const actions = { open: () => undefined, quit: () => undefined };
  const labels = (runs: readonly RunView[]): (string | undefined)[] =>
    trayMenu(runs, actions).map(({ label }) => label);

  it('names the runs under way, and a way back', () => {
    expect(labels([])).toEqual(['No migration is under way', undefined, 'Open Godwit', 'Quit']);
    expect(labels([run('active')])).toEqual(['db1: now active', undefined, 'Open Godwit', 'Quit']);
  });

  it('opens the run that is chosen', () => {
    const opened: (string | undefined)[] = [];
    const [item] = trayMenu([run('active')], { ...actions, open: (route) => opened.push(route) });
    (item?.click as () => void)();
    expect(opened).toEqual(['/runs/one']);
  });

  it('stays short, and takes no mnemonic from a name', () => {
    const many = Array.from({ length: 12 }, (_, index) => run('active', 'active', String(index)));
    expect(labels(many)).toHaveLength(8 + 1 + 3);
    expect(labels(many)[8]).toBe('and 4 more');
    expect(labels([{ ...run('active'), machineName: 'a&b', phase: 'x'.repeat(200) }])[0]).toMatch(/^a&&b: x{70,}…$/);
  });
});

describe('a page whose process ended', () => {
  it('is loaded again, but not for ever', () => {
    const deaths = new PageDeaths();
    expect([0, 1000, 2000, 3000].map((at) => deaths.mayTryAgain(at))).toEqual([true, true, true, false]);
    expect(deaths.mayTryAgain(100_000)).toBe(true);
  });
});

describe('the name that is suggested for a file', () => {
  it.each([
    ['db1', 'db1.state'],
    ['../../etc/passwd', 'etc-passwd.state'],
    ['.hidden', 'hidden.state'],
    ['Büro 2', 'Büro-2.state'],
    ['///', 'guest.state'],
    ['x'.repeat(100), `${'x'.repeat(60)}.state`],
  ])('is for %j %j', (machine, name) => {
    expect(suggestedName(machine)).toBe(name);
  });
});
