// SPDX-License-Identifier: Apache-2.0
/**
 * Both ends of a run whose owner died. They have gone on by themselves as the commit rule lets them; here they are asked,
 * and brought to where exactly one of them has the guest.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ownership } from '../../../src-shared/migration/ownership.ts';
import { isRunningStatus, isMigrationStatus } from '../../../src-shared/migration/status.ts';
import { deadlines, SAMPLE_INTERVAL_MS } from '../deadlines.ts';
import { askDestination, askSource } from '../migrations/whereabouts.ts';
import type { LiveMachine } from './live-machine.ts';

export interface SettledRun {
  /** The end to keep: it has the guest. The other one has not, and can go. */
  readonly owner: 'source' | 'destination';
  readonly sentence: string;
}

const phaseReply = z.object({ side: z.string() });

/** Whether this process was the source of its last migration. */
export async function isSource(machine: LiveMachine): Promise<boolean> {
  return phaseReply.parse(await machine.link.execute('x-godwit-migration-phase')).side !== 'destination';
}

export async function settleInterrupted(
  ends: { readonly source: LiveMachine; readonly destination: LiveMachine },
  name: string,
): Promise<SettledRun> {
  await untilStill(ends.source);
  const until = performance.now() + deadlines.takeover;
  for (;;) {
    const [source, destination] = await Promise.all([askSource(ends.source), askDestination(ends.destination)]);
    const { runs, recoverable } = ownership(source.phase, destination.phase);
    if (runs === 'source') return stayed(name);
    if (runs === 'destination') return moved(name, 'and runs there');
    // Loaded, and the source has given the guest away: the word that the owner would have given.
    if (recoverable[0] === 'destination' && source.facts.status === 'completed') {
      await ends.destination.link.execute('cont');
      return moved(name, 'and was started there');
    }
    if (recoverable[0] === 'source' && performance.now() > until) {
      await ends.source.link.execute('cont');
      return stayed(name);
    }
    if (performance.now() > until) return moved(name, 'stopped: resume it there');
    await sleep(SAMPLE_INTERVAL_MS);
  }
}

/** Nobody steers it any more: cancelled as long as it can be, else it ends by itself. */
async function untilStill(source: LiveMachine): Promise<void> {
  await source.link.execute('migrate_cancel').catch(() => undefined);
  const until = performance.now() + deadlines.cancel;
  while (performance.now() < until) {
    const { info } = await source.link.migration();
    if (info.status === undefined || !isMigrationStatus(info.status) || !isRunningStatus(info.status)) return;
    await sleep(SAMPLE_INTERVAL_MS);
  }
}

const stayed = (name: string): SettledRun => ({
  owner: 'source',
  sentence: `The app ended while ${name} was being moved. It stayed at the source and runs there.`,
});

const moved = (name: string, how: string): SettledRun => ({
  owner: 'destination',
  sentence: `The app ended while ${name} was being moved. It is at the destination ${how}.`,
});
