// SPDX-License-Identifier: Apache-2.0
/**
 * Both ends of a run whose owner died. They have gone on by themselves as the commit rule lets them; here they are asked,
 * and brought to where exactly one of them has the guest. Where that cannot be known, both are left alone.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ownershipHeard } from '../../../src-shared/migration/ownership.ts';
import { deadlines, SAMPLE_INTERVAL_MS } from '../deadlines.ts';
import { askDestination, askSource, whereaboutsOf } from '../migrations/whereabouts.ts';
import type { AskedDestination, AskedSource } from '../migrations/whereabouts.ts';
import { untilStill } from '../migrations/until-still.ts';
import type { LiveMachine } from './live-machine.ts';

export interface SettledRun {
  /** The end that has the guest: the other one has not, and can go. `unknown`: neither may be ended. */
  readonly owner: 'source' | 'destination' | 'unknown';
  readonly sentence: string;
}

export interface RunEnds {
  readonly source: LiveMachine;
  readonly destination: LiveMachine;
}

/** What is to be done. `cont-…`: that end has the whole guest, stopped, and the other one is proven not to run it. */
export type SettleStep = 'wait' | 'cont-source' | 'cont-destination' | SettledRun['owner'];

/** The next step; `late`: the ends have had the time to agree by themselves. Pure. */
export function settleStep(source: AskedSource, destination: AskedDestination, late: boolean): SettleStep {
  const { runs, recoverable } = ownershipHeard(source.phase, destination.phase);
  if (runs !== 'neither') return runs;
  const [preferred] = recoverable;
  // Loaded, and the source has given the guest away: the word that the owner would have given.
  if (preferred === 'destination' && source.facts.status === 'completed') return 'cont-destination';
  if (!late) return 'wait';
  if (preferred === 'destination') return source.phase === 'gone' ? 'cont-destination' : 'destination';
  // A source that hangs in its switchover may still commit.
  if (preferred === 'source' && destination.phase === 'gone' && source.phase !== 'stopped') return 'cont-source';
  return 'unknown';
}

const phaseReply = z.object({ side: z.string() });

/** Which of a machine's two processes was the source of its last migration; undefined where none of them tells. */
export async function endsOf(one: LiveMachine, other: LiveMachine): Promise<RunEnds | undefined> {
  const [oneSide, otherSide] = await Promise.all([sideOf(one), sideOf(other)]);
  if (oneSide === 'destination' || otherSide === 'source') return { source: other, destination: one };
  if (oneSide === 'source' || otherSide === 'destination') return { source: one, destination: other };
  // It was waiting for a guest, or had not been asked to send one: the run had hardly begun.
  if (one.runState === 'inmigrate') return { source: other, destination: one };
  return other.runState === 'inmigrate' ? { source: one, destination: other } : undefined;
}

async function sideOf(machine: LiveMachine): Promise<string | undefined> {
  return await machine.link.execute('x-godwit-migration-phase').then(
    (reply) => phaseReply.parse(reply).side,
    () => undefined,
  );
}

export async function settleInterrupted(ends: RunEnds, name: string): Promise<SettledRun> {
  await untilStill(ends.source.link); // nobody steers it any more
  const until = performance.now() + deadlines.takeover;
  let told = false;
  for (;;) {
    const [source, destination] = await Promise.all([askSource(ends.source), askDestination(ends.destination)]);
    const step = settleStep(source, destination, performance.now() > until);
    const settled = (owner: SettledRun['owner']): SettledRun => {
      const { sentence } = whereaboutsOf(source, destination, name);
      return { owner, sentence: `The app ended while ${name} was being moved. ${sentence}` };
    };
    switch (step) {
      case 'source':
      case 'destination':
      case 'unknown':
        return settled(step);
      case 'cont-source':
      case 'cont-destination':
        // Told once: an end that does not take the word has the guest all the same.
        if (told) return settled(step === 'cont-source' ? 'source' : 'destination');
        told = true;
        await ends[step === 'cont-source' ? 'source' : 'destination'].link.execute('cont').catch(() => undefined);
        break;
      case 'wait':
        await sleep(SAMPLE_INTERVAL_MS);
    }
  }
}
