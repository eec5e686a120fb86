// SPDX-License-Identifier: Apache-2.0
/** How a run ended, and what its steps are, as icon and word. Pure. */
import type { RunOutcome, RunStep } from '../../src-shared/run.ts';
import type { Word } from './machine-words.ts';

export const OUTCOME_WORDS: Readonly<Record<RunOutcome, Word>> = {
  active: { icon: 'moving', text: 'Active', kind: 'move' },
  completed: { icon: 'ok', text: 'Completed', kind: 'ok' },
  cancelled: { icon: 'cancel', text: 'Cancelled', kind: '' },
  failed: { icon: 'stop', text: 'Failed', kind: 'danger' },
  'lost-contact': { icon: 'lost', text: 'Lost contact', kind: 'warn' },
  interrupted: { icon: 'unknown', text: 'Interrupted', kind: 'warn' },
};

const STEP_NAMES: Readonly<Record<Exclude<RunStep['id'], 'pass'>, string>> = {
  check: 'Check',
  setup: 'Setup',
  hold: 'Hold',
  switchover: 'Switchover',
  postcopy: 'Post-copy',
  verify: 'Verify',
  cleanup: 'Clean-up',
};

export function stepName({ id, passes }: RunStep): string {
  if (id !== 'pass') return STEP_NAMES[id];
  if (passes === null) return 'Passes';
  const [first, last] = passes;
  return first === last ? `Pass ${first}` : `Passes ${first} – ${last}`;
}
