// SPDX-License-Identifier: Apache-2.0
/** The steps of a run, from what was heard of it. Pure. */
import type { RunStep } from '../../../src-shared/run.ts';

export type StepId = RunStep['id'];

/** Something began, at a time of the run (ms), when so many bytes had gone over the link. */
export interface Mark {
  readonly id: StepId;
  readonly t: number;
  readonly bytes: number;
  /** For `pass`: which. */
  readonly pass?: number;
}

export interface TimelineEnd {
  readonly t: number;
  readonly bytes: number;
  readonly completed: boolean;
}

/** The way of every run; `hold` and `postcopy` only for those that have it. */
const WAY: readonly StepId[] = ['check', 'setup', 'pass', 'switchover', 'verify', 'cleanup'];
/** Passes between the first and the newest share a block. */
const GROUP_FROM = 2;

/** `end`: null while the run is under way. */
export function timeline(marks: readonly Mark[], end: TimelineEnd | null): RunStep[] {
  const last = marks.length - 1;
  const steps = marks.map((mark, index): RunStep => {
    const next = marks[index + 1];
    const endMs = next?.t ?? end?.t ?? null;
    const bytesAt = next?.bytes ?? end?.bytes ?? mark.bytes;
    const state = index < last ? 'done' : end === null ? 'active' : end.completed ? 'done' : 'failed';
    return {
      id: mark.id,
      passes: mark.pass === undefined ? null : [mark.pass, mark.pass],
      state,
      startMs: mark.t,
      endMs,
      bytes: mark.id === 'pass' ? Math.max(0, bytesAt - mark.bytes) : null,
      note: null,
    };
  });
  const seen = new Set(marks.map(({ id }) => id));
  const lastSeen = Math.max(-1, ...WAY.map((id, place) => (seen.has(id) ? place : -1)));
  const ahead = WAY.filter((id, place) => !seen.has(id) && (place > lastSeen || id === 'pass'));
  const state = end === null ? 'pending' : 'skipped';
  return [...grouped(steps), ...ahead.map((id) => pending(id, state))];
}

function grouped(steps: readonly RunStep[]): RunStep[] {
  const passes = steps.filter(({ id }) => id === 'pass');
  const middle = passes.slice(1, -1);
  const [first, lastOfMiddle] = [middle[0], middle.at(-1)];
  if (middle.length < GROUP_FROM || first === undefined || lastOfMiddle === undefined) return [...steps];
  const group: RunStep = {
    ...first,
    passes: [first.passes?.[0] ?? 2, lastOfMiddle.passes?.[1] ?? 2],
    endMs: lastOfMiddle.endMs,
    bytes: middle.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0),
  };
  return steps.flatMap((step) => (step === first ? [group] : middle.includes(step) ? [] : [step]));
}

function pending(id: StepId, state: 'pending' | 'skipped'): RunStep {
  return { id, passes: null, state, startMs: null, endMs: null, bytes: null, note: null };
}
