// SPDX-License-Identifier: Apache-2.0
/** What a machine is doing, in the words of the list. Pure. */
import type { MachineState, MachineView } from '../../../src-shared/machine-view.ts';
import type { RunState } from '../../../src-shared/migration/status.ts';

export interface MachineFacts {
  /** What the manager is doing with its process. */
  readonly process: 'none' | 'starting' | 'live' | 'stopping';
  /** It ended by itself, and nobody has started it since. */
  readonly died: boolean;
  /** Without a process: its guest is in a file. */
  readonly saved: boolean;
  /** As it last said; null before it said anything. */
  readonly runState: RunState | null;
  /** It was asked and did not answer in time. */
  readonly silent: boolean;
  /** Its part in the run that is under way. */
  readonly role: 'source' | 'destination' | null;
  /** `blocked-reasons` of `query-migrate`. */
  readonly blockedReasons: readonly string[];
}

export function machineState(facts: MachineFacts): MachineState {
  if (facts.process === 'starting') return 'starting';
  if (facts.process === 'stopping') return 'stopping';
  if (facts.process === 'none') return facts.saved ? 'saved' : facts.died ? 'crashed' : 'stopped';
  if (facts.silent) return 'no-contact';
  if (facts.role === 'source') return 'moving';
  if (facts.role === 'destination') return 'incoming';
  switch (facts.runState) {
    case 'running':
      return 'running';
    case 'inmigrate':
      return 'waiting';
    case 'postmigrate':
      return 'left';
    case 'internal-error':
    case 'guest-panicked':
    case 'shutdown':
      return 'crashed';
    case null:
      return 'starting';
    case 'paused':
    case 'prelaunch':
    case 'finish-migrate':
    case 'restore-vm':
    case 'save-vm':
    case 'suspended':
    case 'debug':
    case 'io-error':
    case 'watchdog':
    case 'colo':
      return 'paused';
  }
}

const CANNOT: Readonly<Record<Exclude<MachineState, 'running' | 'paused' | 'moving' | 'incoming'>, string>> = {
  stopped: 'It is stopped: start it first.',
  saved: 'It is in a file: start it first.',
  starting: 'It is starting.',
  stopping: 'It is stopping.',
  waiting: 'It waits for a guest: choose another machine as the source.',
  left: 'Its guest has left this process.',
  crashed: 'It has crashed: start it again.',
  'no-contact': 'Its process does not answer.',
};

export function canMove(facts: MachineFacts): MachineView['canMove'] {
  const state = machineState(facts);
  switch (state) {
    case 'moving':
    case 'incoming':
      return { verdict: 'moving', reasons: [] };
    case 'running':
    case 'paused':
      return { verdict: facts.blockedReasons.length === 0 ? 'yes' : 'no', reasons: [...facts.blockedReasons] };
    case 'no-contact':
      return { verdict: 'unknown', reasons: [CANNOT[state]] };
    case 'stopped':
    case 'saved':
    case 'starting':
    case 'stopping':
    case 'waiting':
    case 'left':
    case 'crashed':
      return { verdict: 'no', reasons: [CANNOT[state]] };
  }
}
