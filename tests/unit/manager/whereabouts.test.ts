// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { settleStep } from '../../../src-main/manager/machines/interrupted-run.ts';
import {
  savedWhereaboutsOf,
  whereaboutsOf,
  type AskedDestination,
  type AskedSource,
} from '../../../src-main/manager/migrations/whereabouts.ts';
import { destinationPhases, sourcePhases } from '../../../src-shared/migration/ownership.ts';
import type { MigrationStatus } from '../../../src-shared/migration/status.ts';

const facts = (answers: boolean, status: MigrationStatus | null = null) => ({
  pid: 7,
  answers,
  runState: 'paused' as const,
  status,
  contactAgeMs: null,
  sentence: null,
});
const source = (phase: AskedSource['phase'], status?: MigrationStatus): AskedSource => ({
  phase,
  facts: facts(phase !== 'silent' && phase !== 'gone', status),
});
const destination = (phase: AskedDestination['phase']): AskedDestination => ({
  phase,
  facts: facts(phase !== 'silent' && phase !== 'gone'),
});

describe('where the guest is', () => {
  it('is not known when the end that may have it does not answer, and the sentence names that end', () => {
    expect(whereaboutsOf(source('silent'), destination('waiting'), 'db1')).toMatchObject({
      guest: 'unknown',
      sentence:
        'It is not known where db1 is: the source does not answer, though its process lives. Both processes are kept: look at them under Machines.',
    });
    expect(whereaboutsOf(source('handed-over'), destination('silent'), 'db1').sentence).toContain(
      'the destination does',
    );
    expect(whereaboutsOf(source('silent'), destination('silent'), 'db1').sentence).toContain('neither end answers');
  });

  it('is the source before its commit, and the destination that runs it, whether or not the other one answers', () => {
    expect(whereaboutsOf(source('returned'), destination('silent'), 'db1').guest).toBe('source');
    expect(whereaboutsOf(source('silent'), destination('owner'), 'db1').guest).toBe('destination');
  });

  it('is lost only when both processes have ended', () => {
    expect(whereaboutsOf(source('gone'), destination('gone'), 'db1')).toMatchObject({
      guest: 'nowhere',
      runs: false,
      sentence: expect.stringMatching(/^db1 is lost: the process that had it has ended/) as string,
    });
    expect(whereaboutsOf(source('gone'), destination('loading'), 'db1').guest).toBe('nowhere');
    expect(whereaboutsOf(source('gone'), destination('silent'), 'db1').guest).toBe('unknown');
  });
});

describe('where a guest is that is saved to a file', () => {
  const told = (phase: AskedSource['phase'], letGo = false) =>
    savedWhereaboutsOf(source(phase), letGo, '/srv/vm', 'db1');

  it('is the file once the source has let go, the source before, and not known while it is silent', () => {
    expect(told('handed-over')).toMatchObject({
      guest: 'file',
      runs: false,
      sentence: 'db1 is saved in /srv/vm; it does not run here any more.',
    });
    for (const phase of ['idle', 'copying', 'stopped', 'returned'] as const) expect(told(phase).guest).toBe('source');
    expect(told('silent').guest).toBe('unknown');
  });

  it('is the file whatever becomes of a source that has said that it let go', () => {
    for (const phase of ['gone', 'silent'] as const) expect(told(phase, true).guest).toBe('file');
  });

  it('is nowhere when its process ended before', () => {
    expect(told('gone')).toMatchObject({
      guest: 'nowhere',
      sentence: 'The process of db1 has ended before all of the guest was in /srv/vm.',
    });
  });
});

describe('a run whose owner died', () => {
  it('is never settled for one end while the other one may have the guest', () => {
    for (const late of [false, true]) {
      for (const phase of destinationPhases) {
        if (phase === 'owner') continue;
        expect(['wait', 'unknown'], phase).toContain(settleStep(source('silent'), destination(phase), late));
      }
      for (const phase of ['committed', 'handed-over', 'gone'] as const) {
        expect(['wait', 'unknown'], phase).toContain(settleStep(source(phase), destination('silent'), late));
      }
    }
  });

  it('starts the guest only at an end that has all of it, with the other one past its commit or gone', () => {
    for (const from of sourcePhases) {
      for (const to of destinationPhases) {
        const step = settleStep(source(from, from === 'handed-over' ? 'completed' : undefined), destination(to), true);
        const pair = `${from}/${to}`;
        if (step === 'cont-destination') {
          expect(['loaded', 'waiting'], pair).toContain(to);
          expect(['handed-over', 'gone'], pair).toContain(from);
        }
        if (step === 'cont-source') {
          expect(['committed', 'handed-over'], pair).toContain(from);
          expect(to, pair).toBe('gone');
        }
      }
    }
  });

  it('gives a source that hangs in its switchover the time to decide, and then leaves both ends alone', () => {
    expect(settleStep(source('stopped'), destination('loaded'), false)).toBe('wait');
    expect(settleStep(source('stopped'), destination('loaded'), true)).toBe('unknown');
  });
});
