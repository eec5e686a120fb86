// SPDX-License-Identifier: Apache-2.0
/** When a run has something to say to a user who looks elsewhere. */
import { doesNotConverge } from '../../../src-shared/migration/convergence.ts';
import type { RunView } from '../../../src-shared/run.ts';

export interface RunNotice {
  readonly runId: string;
  readonly title: string;
  readonly body: string;
}

type Moment = 'under way' | 'paused' | 'held' | Exclude<RunView['outcome'], 'active'>;

const TITLES: Readonly<Record<Moment, string | null>> = {
  'under way': null,
  paused: 'A migration is paused',
  held: 'A migration waits for you',
  completed: 'A migration is done',
  cancelled: 'A migration was cancelled',
  failed: 'A migration failed',
  interrupted: 'A migration was interrupted',
  'lost-contact': 'Contact with a migration is lost',
};
const STUCK = 'A migration does not finish by itself';

/** What was seen of a run under way. */
interface Seen {
  moment: Moment;
  pass: number;
  /** Bytes left when each pass began. */
  readonly leftAtPasses: number[];
  toldStuck: boolean;
}

/** Remembers what was last seen of each run: a state that goes on is told once. */
export class RunNotices {
  readonly #seen = new Map<string, Seen>();

  /** Null where there is nothing new to say. */
  take(run: RunView): RunNotice | null {
    const moment = momentOf(run);
    const seen = this.#seen.get(run.id);
    if (run.outcome !== 'active') this.#seen.delete(run.id);
    // A run that was over when it was first heard of is history.
    else if (seen === undefined) this.#seen.set(run.id, { moment, pass: 0, leftAtPasses: [], toldStuck: false });
    const isNew = seen === undefined ? run.outcome === 'active' : seen.moment !== moment;
    if (seen !== undefined) seen.moment = moment;
    const title = isNew ? TITLES[moment] : seen !== undefined && getsStuck(seen, run) ? STUCK : null;
    return title === null ? null : { runId: run.id, title, body: run.phase };
  }
}

function momentOf({ outcome, status }: RunView): Moment {
  if (outcome !== 'active') return outcome;
  if (status === 'postcopy-paused') return 'paused';
  return status === 'pre-switchover' ? 'held' : 'under way';
}

/** True once for a run: a guest whose pace varies may get stuck and free again and again. */
function getsStuck(seen: Seen, { status, sample }: RunView): boolean {
  if (sample === null || status !== 'active') return false;
  if (sample.pass > seen.pass) {
    seen.pass = sample.pass;
    seen.leftAtPasses.push(sample.remainingBytes);
  }
  if (seen.toldStuck || !doesNotConverge(sample.pass, seen.leftAtPasses)) return false;
  seen.toldStuck = true;
  return true;
}
