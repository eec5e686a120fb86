// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { QmpConnectionError } from '../../../src-main/control/client.ts';
import { handOver, nextStep, type HandOverEnd, type HandOverFacts } from '../../../src-main/manager/hand-over.ts';
import { deadlines } from '../../../src-main/manager/deadlines.ts';
import type { MachineEvent } from '../../../src-main/manager/machines/link.ts';
import { RUN_STATES, MIGRATION_STATUSES } from '../../../src-shared/migration/status.ts';

function facts(change: Partial<HandOverFacts>): HandOverFacts {
  return {
    sourceStatus: 'completed',
    sourceRunState: 'postmigrate',
    destinationRunState: 'paused',
    guestRan: true,
    ...change,
  };
}

describe('the next step of a hand-over', () => {
  it('never starts the destination before the source has completed, whatever either end says', () => {
    for (const sourceStatus of [undefined, ...MIGRATION_STATUSES]) {
      for (const sourceRunState of RUN_STATES) {
        for (const destinationRunState of [...RUN_STATES, 'gone']) {
          const step = nextStep({ sourceStatus, sourceRunState, destinationRunState, guestRan: true });
          if (step === 'cont') expect(sourceStatus).toBe('completed');
          if (sourceStatus === 'failed' || sourceStatus === 'cancelled') expect(step).toBe('stayed');
        }
      }
    }
  });

  it.each<[string, Partial<HandOverFacts>, string]>([
    ['starts a guest that waits loaded', {}, 'cont'],
    ['tells a destination that still loads to start when it has loaded', { destinationRunState: 'inmigrate' }, 'cont'],
    ['is over when the destination runs', { destinationRunState: 'running' }, 'moved'],
    ['is over when a guest that was stopped has arrived', { guestRan: false }, 'moved'],
    [
      'waits for a guest that was stopped to arrive, and sends nothing',
      { guestRan: false, destinationRunState: 'inmigrate' },
      'wait',
    ],
    ['notices that a destination is gone', { destinationRunState: 'gone' }, 'destination-gone'],
    [
      'waits while the source decides',
      { sourceStatus: 'active', sourceRunState: 'finish-migrate', destinationRunState: 'inmigrate' },
      'wait',
    ],
  ])('%s', (_what, change, step) => {
    expect(nextStep(facts(change))).toBe(step);
  });
});

/** Two ends that say what a script tells them to. */
class FakeEnds {
  status = 'active';
  reason: string | undefined;
  sourceRunState = 'running';
  destinationRunState: string | Error = 'inmigrate';
  readonly commands: string[] = [];
  readonly listeners = new Set<(event: MachineEvent) => void>();
  /** What `cont` does to the destination. */
  onCont = (): void => {
    this.destinationRunState = 'running';
  };

  readonly source: HandOverEnd = {
    migration: () =>
      Promise.resolve({
        info: { status: this.status, ...(this.reason !== undefined && { 'error-desc': this.reason }) },
      }),
    runState: () => Promise.resolve(this.sourceRunState),
    execute: (name) => Promise.reject(new Error(`${name} must not go to the source`)),
    onEvent: (listener) => {
      this.listeners.add(listener);
      return () => this.listeners.delete(listener);
    },
  };

  readonly destination: HandOverEnd = {
    migration: () => Promise.reject(new Error('not asked')),
    runState: () => {
      const state = this.destinationRunState;
      return typeof state === 'string' ? Promise.resolve(state) : Promise.reject(state);
    },
    execute: (name) => {
      this.commands.push(`${name} at ${this.status}`);
      this.onCont();
      return Promise.resolve({});
    },
    onEvent: () => () => undefined,
  };

  announce(status: string): void {
    this.status = status;
    for (const listener of this.listeners) listener({ name: 'MIGRATION', data: { status }, at: 0 });
  }

  complete(): void {
    this.sourceRunState = 'postmigrate';
    this.announce('completed');
  }
}

describe('a hand-over', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const start = (ends: FakeEnds, options: { guestRan?: boolean; signal?: AbortSignal } = {}) =>
    handOver(ends, { guestRan: true, signal: new AbortController().signal, ...options });

  it("sends one cont, on the source's completed, and waits until the destination runs", async () => {
    const ends = new FakeEnds();
    ends.onCont = () => undefined; // it still loads, and starts later
    const over = start(ends);
    await vi.waitFor(() => expect(ends.listeners.size).toBe(1));
    expect(ends.commands).toEqual([]);
    ends.complete();
    await vi.waitFor(() => expect(ends.commands).toEqual(['cont at completed']));
    ends.destinationRunState = 'running';
    ends.announce('completed');
    expect(await over).toEqual({ guest: 'moved', destinationRunState: 'running' });
    expect(ends.commands).toHaveLength(1);
    expect(ends.listeners.size).toBe(0);
  });

  it('sends nothing to a destination that runs by itself', async () => {
    const ends = new FakeEnds();
    ends.destinationRunState = 'running';
    ends.complete();
    expect(await start(ends)).toEqual({ guest: 'moved', destinationRunState: 'running' });
    expect(ends.commands).toEqual([]);
  });

  it('leaves a guest that was stopped as it was', async () => {
    const ends = new FakeEnds();
    ends.destinationRunState = 'prelaunch';
    ends.complete();
    expect(await start(ends, { guestRan: false })).toEqual({ guest: 'moved', destinationRunState: 'prelaunch' });
    expect(ends.commands).toEqual([]);
  });

  it('says why the guest stayed, and does not touch the destination', async () => {
    const ends = new FakeEnds();
    ends.reason = 'Sibling indicated error 1\u001b[2J';
    ends.announce('failed');
    const reason = 'Sibling indicated error 1\\x1b[2J';
    expect(await start(ends)).toEqual({ guest: 'stayed', status: 'failed', reason });
    expect(ends.commands).toEqual([]);
  });

  it('says where the guest can be run when the destination is gone after the source has let go', async () => {
    const ends = new FakeEnds();
    ends.destinationRunState = new QmpConnectionError('CLOSED', 'lost');
    ends.complete();
    await expect(start(ends)).rejects.toMatchObject({
      code: 'HAND_OVER',
      message: /source still holds the guest, stopped.*'cont' runs it at the source/s,
    });
    expect(ends.listeners.size).toBe(0);
  });

  it('gives up on a destination that does not start in time, and says so', async () => {
    const ends = new FakeEnds();
    ends.onCont = () => undefined;
    ends.complete();
    const over = start(ends);
    const outcome = expect(over).rejects.toThrow('still inmigrate after 10 s');
    await vi.advanceTimersByTimeAsync(deadlines.takeoverAfterCont + 1000);
    await outcome;
  });

  it('ends with the reason of its signal', async () => {
    const ends = new FakeEnds();
    const abort = new AbortController();
    const over = start(ends, { signal: abort.signal });
    await vi.waitFor(() => expect(ends.listeners.size).toBe(1));
    abort.abort(new Error('enough'));
    await expect(over).rejects.toThrow('enough');
    expect(ends.listeners.size).toBe(0);
  });
});
