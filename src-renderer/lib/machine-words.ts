// SPDX-License-Identifier: Apache-2.0
/** A machine's state as icon and word, and what can be done in it. Pure. */
import type { MachineState, MachineView } from '../../src-shared/machine-view.ts';
import type { IconName } from '../components/AppIcon.vue';

export interface Word {
  readonly icon: IconName;
  readonly text: string;
  readonly kind: '' | 'ok' | 'warn' | 'danger' | 'info' | 'move';
}

export const STATE_WORDS: Readonly<Record<MachineState, Word>> = {
  stopped: { icon: 'unknown', text: 'Stopped', kind: '' },
  saved: { icon: 'file', text: 'Saved', kind: '' },
  starting: { icon: 'waiting', text: 'Starting', kind: 'info' },
  running: { icon: 'running', text: 'Running', kind: 'ok' },
  paused: { icon: 'paused', text: 'Paused', kind: 'warn' },
  waiting: { icon: 'waiting', text: 'Waiting', kind: 'info' },
  incoming: { icon: 'receive', text: 'Receiving', kind: 'move' },
  moving: { icon: 'moving', text: 'Moving', kind: 'move' },
  left: { icon: 'unknown', text: 'Left', kind: '' },
  stopping: { icon: 'waiting', text: 'Stopping', kind: 'info' },
  crashed: { icon: 'stop', text: 'Crashed', kind: 'danger' },
  'no-contact': { icon: 'lost', text: 'No contact', kind: 'warn' },
};

export function moveWord({ state, canMove }: Pick<MachineView, 'state' | 'canMove'>): Word {
  if (state === 'waiting') return { icon: 'receive', text: 'Receiver', kind: '' };
  if (state === 'left') return { icon: 'unknown', text: 'Left this process', kind: '' };
  switch (canMove.verdict) {
    case 'yes':
      return { icon: 'ok', text: 'Can move', kind: 'ok' };
    case 'moving':
      return { icon: 'moving', text: 'Moving', kind: 'move' };
    case 'unknown':
      return { icon: 'unknown', text: 'Unknown', kind: '' };
    case 'no':
      return state === 'stopped' || state === 'saved' || state === 'starting' || state === 'stopping'
        ? { icon: 'unknown', text: 'Not running', kind: '' }
        : { icon: 'stop', text: 'Cannot move', kind: 'danger' };
  }
}

export type MachineAction = 'start' | 'stop' | 'pause' | 'resume' | 'delete' | 'migrate';

/** Why an action cannot be done now; null when it can. */
export function whyNot(
  action: MachineAction,
  machine: Pick<MachineView, 'state' | 'canMove' | 'activeRunId'>,
): string | null {
  const { state, canMove, activeRunId } = machine;
  const busy = activeRunId === null ? null : 'It is being moved: cancel the run first.';
  const hasProcess = !['stopped', 'saved', 'crashed', 'starting', 'stopping'].includes(state);
  switch (action) {
    case 'start':
      return ['stopped', 'saved', 'crashed'].includes(state) ? null : 'It has a process already.';
    case 'stop':
      return busy ?? (hasProcess ? null : 'It is not running.');
    case 'pause':
      return busy ?? (state === 'running' ? null : 'It is not running.');
    case 'resume':
      return busy ?? (state === 'paused' ? null : 'Only a paused guest can be resumed.');
    case 'delete':
      return busy ?? (state === 'starting' ? 'It is starting.' : null);
    case 'migrate':
      return canMove.verdict === 'yes' ? null : (canMove.reasons[0] ?? 'It is being moved.');
  }
}
