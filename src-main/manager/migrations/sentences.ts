// SPDX-License-Identifier: Apache-2.0
/** What a run is doing, or how it ended, in one sentence. Pure. */
import type { MigrationStatus } from '../../../src-shared/migration/status.ts';
import type { RunOutcome } from '../../../src-shared/run.ts';

export interface PhaseFacts {
  readonly machineName: string;
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
      return `${name} has moved.`;
    case 'cancelled':
      return `Cancelled. ${name} stays where it was.`;
    case 'failed':
      return `The move failed. ${facts.error ?? 'No reason was given.'}`;
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
  status,
  pass,
  cancelling,
  dirtyRate,
  throughput,
  afterwards,
}: PhaseFacts): string {
  if (afterwards === 'verify') return `Verifying: does ${name} run at the destination?`;
  if (afterwards === 'cleanup') return `Cleaning up after ${name}.`;
  if (cancelling || status === 'cancelling') return 'Cancelling.';
  switch (status) {
    case 'none':
      return 'Preparing both ends.';
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
      return 'Switching over.';
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
      return `Verifying: does ${name} run at the destination?`;
    case 'failed':
    case 'cancelled':
      return `Where is ${name}? Asking both ends.`;
  }
}
