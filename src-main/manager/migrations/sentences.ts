// SPDX-License-Identifier: Apache-2.0
/** What a run is doing, or how it ended, in one sentence. Pure. */
import type { MigrationStatus } from '../../../src-shared/migration/status.ts';
import type { RunOutcome } from '../../../src-shared/run.ts';

export interface PhaseFacts {
  readonly machineName: string;
  /** The file that it is saved to; undefined where it moves to another process. */
  readonly file: string | undefined;
  readonly status: MigrationStatus;
  readonly outcome: RunOutcome;
  readonly pass: number;
  /** Asked to cancel, and not over yet. */
  readonly cancelling: boolean;
  /** Bytes per second; null before there is a reading. */
  readonly dirtyRate: number | null;
  readonly throughput: number;
  /** What is still to be done after the source said completed. */
  readonly afterwards: 'verify' | 'cleanup' | null;
  readonly error: string | null;
}

export function phaseSentence(facts: PhaseFacts): string {
  const { machineName: name, outcome } = facts;
  switch (outcome) {
    case 'completed':
      return facts.file === undefined ? `${name} has moved.` : `${name} is saved in ${facts.file}.`;
    case 'cancelled':
      return `Cancelled. ${name} stays where it was.`;
    case 'failed':
      return `The ${facts.file === undefined ? 'move' : 'save'} failed. ${facts.error ?? 'No reason was given.'}`;
    case 'lost-contact':
      return `An end does not answer any more. ${facts.error ?? ''}`.trim();
    case 'interrupted':
      return 'The app ended while this run was under way.';
    case 'active':
      return activeSentence(facts);
  }
}

function activeSentence({
  machineName: name,
  file,
  status,
  pass,
  cancelling,
  dirtyRate,
  throughput,
  afterwards,
}: PhaseFacts): string {
  const verifying =
    file === undefined
      ? `Verifying: does ${name} run at the destination?`
      : `Verifying: is all of ${name} in the file?`;
  if (afterwards === 'verify') return verifying;
  if (afterwards === 'cleanup') return `Cleaning up after ${name}.`;
  if (cancelling || status === 'cancelling') return 'Cancelling.';
  switch (status) {
    case 'none':
      return file === undefined ? 'Preparing both ends.' : 'Opening the file.';
    case 'setup':
    case 'wait-unplug':
      return 'Connecting.';
    case 'active':
      if (pass <= 1) return `Pass 1: copying all memory while ${name} runs.`;
      if (dirtyRate !== null && throughput > 0 && dirtyRate >= throughput) {
        return `Pass ${pass}: will not finish by itself. ${name} writes faster than the link carries.`;
      }
      return `Pass ${pass}: copying what ${name} has written since.`;
    case 'pre-switchover':
      return `Held before the switchover: ${name} is stopped and waits for your word.`;
    case 'device':
      return file === undefined ? 'Switching over.' : `Writing the last of ${name}, which is stopped.`;
    case 'postcopy-active':
      return `Post-copy: ${name} runs at the destination and fetches the rest.`;
    case 'postcopy-paused':
      return `Post-copy is paused: ${name} waits for memory that is still at the source.`;
    case 'postcopy-recover-setup':
    case 'postcopy-recover':
      return 'Recovering post-copy.';
    case 'colo':
      return `${name} is replicated.`;
    case 'completed':
      return verifying;
    case 'failed':
    case 'cancelled':
      return `Where is ${name}? Asking${file === undefined ? ' both ends' : ' its process'}.`;
  }
}
