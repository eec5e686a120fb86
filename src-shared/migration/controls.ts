// SPDX-License-Identifier: Apache-2.0
/**
 * What a user can do to a migration in each status, and why not where he cannot. The manager refuses by this table and
 * the screen greys out by it, so both say the same. Keyed on the engine's status, never on what was clicked.
 */
import type { MigrationStatus } from './status.ts';

export const CONTROLS = ['cancel', 'setLimits', 'startPostcopy', 'continue', 'pause', 'recover'] as const;
export type Control = (typeof CONTROLS)[number];

/** What the table depends on besides the status. */
export interface ControlFacts {
  /** The capability postcopy-ram is on at both ends. */
  readonly postcopyArmed: boolean;
}

/** `limits`: which limits may be changed, for `setLimits`. */
export type ControlState =
  | { readonly enabled: true; readonly limits?: 'all' | 'bandwidth' }
  | { readonly enabled: false; readonly reason: string };

const yes: ControlState = { enabled: true };
const no = (reason: string): ControlState => ({ enabled: false, reason });

const ENDED = no('This run has ended.');
const NOT_YET = no('The run has not reached its memory yet.');
const NOT_HELD = no('Only while the run is held before the switchover.');
const ONLY_POSTCOPY = no('Only in post-copy.');
const NOT_PAUSED = no('Nothing to recover: this run is not paused.');
const SWITCHING = no('The switchover is under way.');
const CANCELLING = no('The run is being cancelled.');
const IN_POSTCOPY = no('In post-copy both ends hold a part of the guest: a cancel would lose it.');
const RECOVERING = no('The run is being recovered.');

type Row = Readonly<Record<Control, ControlState>>;

const all = (state: ControlState): Row =>
  Object.fromEntries(CONTROLS.map((control) => [control, state])) as Record<Control, ControlState>;

const setup: Row = {
  cancel: yes,
  setLimits: { enabled: true, limits: 'all' },
  startPostcopy: NOT_YET,
  continue: NOT_HELD,
  pause: ONLY_POSTCOPY,
  recover: NOT_PAUSED,
};

/** The state of every control in a status. */
export function controlsFor(status: MigrationStatus, facts: ControlFacts): Row {
  switch (status) {
    case 'none':
    case 'completed':
    case 'cancelled':
    case 'failed':
      return all(ENDED);
    case 'setup':
    case 'wait-unplug':
      return setup;
    case 'active':
      return {
        ...setup,
        startPostcopy: facts.postcopyArmed ? yes : no('Post-copy was not armed when the run started.'),
      };
    case 'pre-switchover':
      return {
        ...setup,
        setLimits: no('The guest is stopped: no limit matters any more.'),
        startPostcopy: SWITCHING,
        continue: yes,
      };
    case 'device':
      // The engine takes a cancel until the commit and answers with the outcome after it.
      return { ...all(SWITCHING), cancel: yes, recover: NOT_PAUSED, pause: ONLY_POSTCOPY };
    case 'cancelling':
      return all(CANCELLING);
    case 'postcopy-active':
      return {
        cancel: IN_POSTCOPY,
        setLimits: { enabled: true, limits: 'bandwidth' },
        startPostcopy: no('Post-copy has begun.'),
        continue: NOT_HELD,
        pause: yes,
        recover: NOT_PAUSED,
      };
    case 'postcopy-paused':
      return {
        cancel: IN_POSTCOPY,
        setLimits: no('The run is paused.'),
        startPostcopy: no('Post-copy has begun.'),
        continue: NOT_HELD,
        pause: no('The run is paused.'),
        recover: yes,
      };
    case 'postcopy-recover-setup':
    case 'postcopy-recover':
      return { ...all(RECOVERING), cancel: IN_POSTCOPY };
    case 'colo':
      return all(no('Godwit does not steer a replicated guest.'));
  }
}
