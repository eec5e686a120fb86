// SPDX-License-Identifier: Apache-2.0
/** The states of the app's end as a table: what each event does in each of them. Pure. */

/**
 * - `running`: with a window
 * - `asking`: the user is asked whether it may end
 * - `background`: it goes on without a window
 * - `ending`: machines and store are being closed
 * - `ended`: whatever Electron closes now may close
 */
export type QuitState = 'running' | 'asking' | 'background' | 'ending' | 'ended';

/**
 * - `close`: the window is about to close; `quit`: the app is; `signal`: it is told to
 * - `confirmed`, `stay`, `go-on`: the answers
 * - `reopen`: the window is asked for; `idle`: nothing is left to go on for
 * - `ended`: everything is closed
 */
export type QuitEvent = 'close' | 'quit' | 'signal' | 'confirmed' | 'stay' | 'go-on' | 'reopen' | 'idle' | 'ended';

export interface Decision {
  readonly next: QuitState;
  readonly effect: 'ask' | 'end' | 'hide' | null;
  /** Whether what Electron is about to do may go on. */
  readonly proceed: boolean;
}

type Row = readonly [QuitState, Decision['effect']];

const TABLE: Readonly<Record<QuitState, Readonly<Partial<Record<QuitEvent, Row>>>>> = {
  running: {
    close: ['asking', 'ask'],
    quit: ['asking', 'ask'],
    signal: ['ending', 'end'],
  },
  asking: {
    confirmed: ['ending', 'end'],
    stay: ['running', null],
    'go-on': ['background', 'hide'],
    signal: ['ending', 'end'],
  },
  background: {
    reopen: ['running', null],
    // From the tray, or a desktop's own menu.
    quit: ['asking', 'ask'],
    idle: ['ending', 'end'],
    signal: ['ending', 'end'],
  },
  ending: { ended: ['ended', null] },
  ended: {},
};

/** An event that a state does not name changes nothing; only in `ended` may Electron go on. */
export function decide(state: QuitState, event: QuitEvent): Decision {
  const [next, effect] = TABLE[state][event] ?? [state, null];
  return { next, effect, proceed: state === 'ended' };
}
