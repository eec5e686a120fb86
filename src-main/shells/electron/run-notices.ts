// SPDX-License-Identifier: Apache-2.0
/** When a run has something to say to a user who looks elsewhere. */
import type { RunView } from '../../../src-shared/run.ts';

export interface RunNotice {
  readonly runId: string;
  readonly title: string;
  readonly body: string;
}

type Moment = 'under way' | 'paused' | 'held' | RunView['outcome'];

const TITLES: Readonly<Record<Moment, string | null>> = {
  active: null,
  'under way': null,
  paused: 'A migration is paused',
  held: 'A migration waits for you',
  completed: 'A migration is done',
  cancelled: 'A migration was cancelled',
  failed: 'A migration failed',
  interrupted: 'A migration was interrupted',
  'lost-contact': 'Contact with a migration is lost',
};

/** What was last seen of each run: a state that goes on is told once. */
export class RunNotices {
  readonly #last = new Map<string, Moment>();

  /** Null where there is nothing new to say. */
  take(run: RunView): RunNotice | null {
    const moment = momentOf(run);
    const before = this.#last.get(run.id);
    if (run.outcome === 'active') this.#last.set(run.id, moment);
    else this.#last.delete(run.id);
    const title = TITLES[moment];
    // A run that was over when it was first heard of is history.
    const isNew = before !== undefined ? before !== moment : run.outcome === 'active';
    return title !== null && isNew ? { runId: run.id, title, body: run.phase } : null;
  }
}

function momentOf({ outcome, status }: RunView): Moment {
  if (outcome !== 'active') return outcome;
  if (status === 'postcopy-paused') return 'paused';
  return status === 'pre-switchover' ? 'held' : 'under way';
}
