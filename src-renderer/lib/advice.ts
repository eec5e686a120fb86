// SPDX-License-Identifier: Apache-2.0
/** What helps a run that does not converge: the cause, the ways out, and the price of each. Pure. */
import { doesNotConverge } from '../../src-shared/migration/convergence.ts';
import type { RunSample, RunView } from '../../src-shared/run.ts';
import { durationText, rateText, type Units } from './format.ts';
import { MAX_DOWNTIME_MS } from './limit-fields.ts';

export interface AdviceAction {
  readonly title: string;
  readonly cost: string;
  readonly button: string;
  readonly limits: { readonly maxBandwidth?: number; readonly downtimeLimitMs?: number };
}

export interface Advice {
  readonly title: string;
  readonly actions: readonly AdviceAction[];
}

/** A pause that is offered is a round number above what is needed. */
const STEP_MS = 50;

/** `pauses`: what was left when each pass began, bytes, oldest first. */
export function adviceFor(
  run: Pick<RunView, 'machineName' | 'status' | 'sample'>,
  leftAtPasses: readonly number[],
  units: Units,
): Advice | null {
  const { sample, machineName } = run;
  if (run.status !== 'active' || sample === null || !doesNotConverge(sample.pass, leftAtPasses)) return null;
  const actions = [...bandwidthAction(sample), ...pauseAction(sample)];
  if (actions.length === 0) return null;
  const dirty = sample.dirtyRate ?? 0;
  const title =
    dirty > 0
      ? `${machineName} dirties ${rateText(dirty, units)}, the link carries ${rateText(sample.throughput, units)}`
      : `What is left of ${machineName} does not get less`;
  return { title, actions };
}

function bandwidthAction({ maxBandwidth, throughput }: RunSample): AdviceAction[] {
  if (maxBandwidth === 0 || throughput < maxBandwidth * 0.8) return [];
  return [
    {
      title: 'Lift the bandwidth limit',
      cost: `The limit of ${rateText(maxBandwidth)} is what holds it. Other users of the link get less.`,
      button: 'Lift limit',
      limits: { maxBandwidth: 0 },
    },
  ];
}

function pauseAction({ remainingBytes, throughput, downtimeLimitMs, expectedDowntimeMs }: RunSample): AdviceAction[] {
  const needed = Math.max(expectedDowntimeMs ?? 0, throughput > 0 ? (remainingBytes / throughput) * 1000 : 0);
  if (needed <= downtimeLimitMs || needed === 0) return [];
  const limit = Math.ceil((needed * 1.1) / STEP_MS) * STEP_MS;
  if (limit > MAX_DOWNTIME_MS) return [];
  return [
    {
      title: `Allow a pause of ${durationText(limit)}`,
      cost: `Its clients stall for about ${durationText(needed)} instead of at most ${durationText(downtimeLimitMs)}.`,
      button: 'Set limit',
      limits: { downtimeLimitMs: limit },
    },
  ];
}
