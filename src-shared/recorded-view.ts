// SPDX-License-Identifier: Apache-2.0
import { CONTROLS, controlsFor } from './migration/controls.ts';
import type { Control, ControlState } from './migration/controls.ts';
import type { RecordedRun, RunView } from './run.ts';

const DRIVEN_ELSEWHERE: ControlState = { enabled: false, reason: 'Another Godwit process drives this run.' };

/** A run out of the history as screens show it: nothing about it can be changed from here. */
export function recordedRunView(run: RecordedRun): RunView {
  const controls =
    run.outcome === 'active'
      ? (Object.fromEntries(CONTROLS.map((control) => [control, DRIVEN_ELSEWHERE])) as Record<Control, ControlState>)
      : controlsFor('completed', { postcopyArmed: false });
  return { ...run, controls, sample: null };
}
