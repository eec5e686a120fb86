// SPDX-License-Identifier: Apache-2.0
import type { RunState } from '../../../src-shared/migration/status.ts';

/**
 * Allowed changes of the run state, as far as this machine has them. One table; {@link RunStateKeeper} is the one place
 * that changes the state.
 */
export const runStateSteps: Readonly<Partial<Record<RunState, readonly RunState[]>>> = {
  prelaunch: ['running', 'paused', 'finish-migrate', 'inmigrate', 'shutdown'],
  inmigrate: ['running', 'paused', 'prelaunch', 'postmigrate', 'finish-migrate', 'internal-error', 'shutdown'],
  running: ['paused', 'finish-migrate', 'internal-error', 'shutdown'],
  paused: ['running', 'finish-migrate', 'postmigrate', 'shutdown'],
  'finish-migrate': ['running', 'paused', 'prelaunch', 'postmigrate', 'internal-error', 'shutdown'],
  postmigrate: ['running', 'finish-migrate', 'shutdown'],
  'internal-error': ['finish-migrate', 'paused', 'shutdown'],
  shutdown: [],
};

/** Whether `next` may follow `state`. */
export function canFollow(state: RunState, next: RunState): boolean {
  return (runStateSteps[state] ?? []).includes(next);
}

export class RunStateError extends Error {
  override readonly name = 'RunStateError';
  readonly code = 'run-state';
}

export class RunStateKeeper {
  #state: RunState;

  constructor(initial: RunState) {
    this.#state = initial;
  }

  get state(): RunState {
    return this.#state;
  }

  /** Changes the state; the same state again is no change. Throws where the table has no such step. */
  change(next: RunState): void {
    if (next === this.#state) return;
    if (!canFollow(this.#state, next)) {
      throw new RunStateError(`internal: run state ${this.#state} cannot become ${next}`);
    }
    this.#state = next;
  }
}
