// SPDX-License-Identifier: Apache-2.0
/**
 * Who may run the guest: the commit rule as one table.
 *
 * A migration has two ends that can lose sight of each other at any moment. The rule keeps two promises whatever is
 * lost: at most one end runs the guest, and at least one end can be made to run it. Between two Godwits one round trip
 * decides: the destination reports LOADED (everything applied, not running), the source commits (from here on it never
 * runs the guest again) and sends GO, the destination runs.
 *
 * Engine, manager, the sentences on the screen and the fault tests all read this file.
 */

/** Where the source's end of a migration stands. */
export const sourcePhases = ['idle', 'copying', 'stopped', 'committed', 'handed-over', 'returned', 'gone'] as const;
export type SourcePhase = (typeof sourcePhases)[number];

/** Where the destination's end stands. `waiting`: loaded, and the link was lost before GO. */
export const destinationPhases = ['idle', 'loading', 'loaded', 'waiting', 'owner', 'gone'] as const;
export type DestinationPhase = (typeof destinationPhases)[number];

/** What can happen to the source. `loaded` and `refused` are the destination's verdict as it arrives there. */
export const sourceEvents = [
  'migrate',
  'guest-stopped',
  'loaded',
  'handed-over-unconfirmed',
  'shut',
  'refused',
  'link-lost',
  'cancel',
  'override-cont',
  'killed',
] as const;
export type SourceEvent = (typeof sourceEvents)[number];

/**
 * What can happen to the destination. `applied-no-verdict`: applied, and the source asked for no GO (stock peers).
 * `abandoned`: the source says that it keeps the guest.
 */
export const destinationEvents = [
  'connected',
  'applied',
  'applied-no-verdict',
  'go',
  'abandoned',
  'failed',
  'link-lost',
  'cont',
  'killed',
] as const;
export type DestinationEvent = (typeof destinationEvents)[number];

type Table<Phase extends string, Event extends string> = Readonly<
  Record<Phase, Readonly<Partial<Record<Event, Phase>>>>
>;

/**
 * The source's steps. An event that is not listed changes nothing: in particular `cancel` and `link-lost` after the
 * commit, since the destination may already run the guest.
 */
export const sourceSteps: Table<SourcePhase, SourceEvent> = {
  idle: { migrate: 'copying', killed: 'gone' },
  copying: {
    'guest-stopped': 'stopped',
    'link-lost': 'returned',
    refused: 'returned',
    cancel: 'returned',
    killed: 'gone',
  },
  stopped: {
    loaded: 'committed',
    // A stock peer gives no LOADED: its SHUT 0, or without a return path the last byte written, is all there is.
    shut: 'handed-over',
    'handed-over-unconfirmed': 'handed-over',
    'link-lost': 'returned',
    refused: 'returned',
    cancel: 'returned',
    killed: 'gone',
  },
  committed: { shut: 'handed-over', killed: 'gone' },
  // `cont` after postmigrate is possible, as in QEMU: an override, which the manager never sends unless the other end
  // is proven not to run the guest.
  'handed-over': { 'override-cont': 'idle', killed: 'gone' },
  returned: { migrate: 'copying', killed: 'gone' },
  gone: {},
};

/** The destination's steps. */
export const destinationSteps: Table<DestinationPhase, DestinationEvent> = {
  idle: { connected: 'loading', killed: 'gone' },
  loading: { applied: 'loaded', 'applied-no-verdict': 'owner', failed: 'gone', 'link-lost': 'gone', killed: 'gone' },
  loaded: { go: 'owner', abandoned: 'gone', 'link-lost': 'waiting', failed: 'waiting', killed: 'gone' },
  waiting: { cont: 'owner', killed: 'gone' },
  owner: { killed: 'gone' },
  gone: {},
};

/** The phase after `event`; the same phase where the table has no such step. */
export function stepSource(phase: SourcePhase, event: SourceEvent): SourcePhase {
  return sourceSteps[phase][event] ?? phase;
}

/** The phase after `event`; the same phase where the table has no such step. */
export function stepDestination(phase: DestinationPhase, event: DestinationEvent): DestinationPhase {
  return destinationSteps[phase][event] ?? phase;
}

/** Whether this end may let the guest's vCPUs run. */
export const sourceMayRun: Readonly<Record<SourcePhase, boolean>> = {
  idle: true,
  copying: true,
  stopped: false,
  committed: false,
  'handed-over': false,
  returned: true,
  gone: false,
};

/** Whether this end may let the guest's vCPUs run. In `waiting` only an explicit `cont` moves it on to `owner`. */
export const destinationMayRun: Readonly<Record<DestinationPhase, boolean>> = {
  idle: false,
  loading: false,
  loaded: false,
  waiting: false,
  owner: true,
  gone: false,
};

/** Who may run the guest now, and which end can be made to run it. */
export interface Ownership {
  readonly runs: 'source' | 'destination' | 'neither';
  /** The ends that can still be made to run the guest, the preferred one first. Empty: the guest is lost. */
  readonly recoverable: readonly ('source' | 'destination')[];
}

/**
 * Who may run the guest for a pair of phases that one migration can reach.
 *
 * A pair in which both tables say "may run" is unreachable by construction: the destination becomes owner only on a GO
 * that a committed source sent, on the word of a stock peer, or on an explicit `cont`.
 */
export function ownership(source: SourcePhase, destination: DestinationPhase): Ownership {
  if (destinationMayRun[destination]) return { runs: 'destination', recoverable: ['destination'] };
  if (sourceMayRun[source]) return { runs: 'source', recoverable: ['source'] };
  const recoverable: ('source' | 'destination')[] = [];
  // Before the commit the guest goes back to the source; after it only the destination may have it.
  if (source === 'stopped') recoverable.push('source');
  if (destination === 'loaded' || destination === 'waiting') recoverable.push('destination');
  if (source === 'committed' || source === 'handed-over') {
    // The source still holds the guest's memory, stopped: `cont` there is the override of last resort.
    if (destination === 'gone') recoverable.push('source');
  }
  return { runs: 'neither', recoverable };
}

/**
 * The same for ends as they were heard. A `silent` end does not answer although its process may live: it can be in any
 * phase that the other end's word leaves open, so it is never taken for gone. Nothing `recoverable`, and nobody running:
 * it is not known who has the guest, and neither process may be ended.
 */
export function ownershipHeard(source: SourcePhase | 'silent', destination: DestinationPhase | 'silent'): Ownership {
  if (source !== 'silent' && destination !== 'silent') return ownership(source, destination);
  if (destination !== 'silent' && destinationMayRun[destination]) return ownership('gone', destination);
  // Before its commit the source has the guest, whatever the other one says.
  if (source !== 'silent' && (sourceMayRun[source] || source === 'stopped')) return ownership(source, 'gone');
  return { runs: 'neither', recoverable: [] };
}

/** Where the guest is, as the source can know it. */
export const sourceSentences: Readonly<Record<SourcePhase, string>> = {
  idle: 'The guest is here.',
  copying: 'The guest is here and runs on while its memory is copied.',
  stopped:
    'The guest is here, stopped for the switchover; it goes on here unless the destination reports that it has everything.',
  committed: 'The destination has the whole guest; it does not run here any more.',
  'handed-over': 'The guest is at the destination.',
  returned: 'The guest stayed here.',
  gone: 'This end is gone.',
};

/** Where the guest is, as the destination can know it. */
export const destinationSentences: Readonly<Record<DestinationPhase, string>> = {
  idle: 'This end waits for a guest.',
  loading: 'The guest is at the source; its state is arriving.',
  loaded: 'The whole guest is here, not running; the source decides now.',
  waiting:
    "The whole guest is here, not running: the link to the source was lost before it gave its word. Send 'cont' here once the source reports 'completed'; if the guest runs on at the source, quit this end.",
  owner: 'The guest is here.',
  gone: 'The load failed; the guest is at the source.',
};
