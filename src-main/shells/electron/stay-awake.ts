// SPDX-License-Identifier: Apache-2.0
/** A box that suspends in the middle of a move stops its guest: while a run is under way it does not by itself. */
import { powerSaveBlocker } from 'electron';
import type { EventEnvelope } from '../../../src-shared/contract.ts';

/** Answers what takes the manager's events. */
export function stayAwakeDuringRuns(): (event: EventEnvelope) => void {
  const runs = new Set<string>();
  let blocker: number | undefined;
  return (event) => {
    if (event.name !== 'run.changed') return;
    if (event.data.outcome === 'active') runs.add(event.data.id);
    else runs.delete(event.data.id);
    if (runs.size > 0) {
      blocker ??= powerSaveBlocker.start('prevent-app-suspension');
    } else if (blocker !== undefined) {
      powerSaveBlocker.stop(blocker);
      blocker = undefined;
    }
  };
}
