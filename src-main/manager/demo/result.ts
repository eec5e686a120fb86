// SPDX-License-Identifier: Apache-2.0
/** Puts the demo's result together. Pure. */
import type { Heartbeat } from '../machines/replies.ts';
import { continuityProblems, generationSum, longestPauseMs } from './continuity.ts';
import type { DemoEvent, DemoOptions, DemoResult, Side, SidedEvent } from './types.ts';

/** All that a run saw. Heartbeats of a side are absent when it could not be asked. */
export interface DemoFacts {
  readonly mode: DemoOptions['mode'];
  readonly pids: Readonly<Record<Side, number>>;
  readonly events: readonly SidedEvent[];
  /** performance.now() and CLOCK_MONOTONIC when `migrate` was issued. */
  readonly migrateAt: { readonly ms: number; readonly ns: bigint };
  readonly source: Readonly<Record<string, unknown>> | null;
  readonly destination: Readonly<Record<string, unknown>> | null;
  readonly before: readonly Heartbeat[];
  readonly atStop: readonly Heartbeat[] | undefined;
  readonly after: readonly Heartbeat[] | undefined;
  readonly sweepsAfter: number;
  readonly corrupt: readonly string[];
  readonly corruptCount: number;
}

export interface DemoVerdict {
  readonly result: DemoResult;
  /** Why it is not verified; empty when it is. */
  readonly problems: readonly string[];
}

/** The result document, and what speaks against it. */
export function assembleResult(facts: DemoFacts): DemoVerdict {
  const atStop = facts.atStop ?? facts.before;
  const after = facts.after ?? [];
  const problems = [...completionProblems(facts)];
  if (problems.length === 0) {
    problems.push(...continuityProblems({ source: atStop, destination: after, corrupt: facts.corrupt }));
  }
  const result: DemoResult = {
    mode: facts.mode,
    verified: problems.length === 0,
    pids: facts.pids,
    events: timeline(facts.events, facts.migrateAt.ms),
    source: facts.source && plainNumbers(facts.source),
    destination: facts.destination && plainNumbers(facts.destination),
    guest: {
      generationBefore: Number(generationSum(facts.before)),
      generationAtStop: Number(generationSum(atStop)),
      generationAfter: Number(generationSum(facts.after ?? atStop)),
      sweepsAfter: facts.sweepsAfter,
      corrupt: facts.corruptCount,
      longestPauseMs: longestPauseMs(atStop, after, facts.migrateAt.ns),
    },
  };
  return { result, problems };
}

function completionProblems(facts: DemoFacts): string[] {
  const problems: string[] = [];
  for (const side of ['source', 'destination'] as const) {
    const info = facts[side];
    const status = info === null ? 'gone' : String(info['status']);
    if (status !== 'completed') problems.push(`the ${side} is ${status}, not completed`);
  }
  if (facts.destination !== null && facts.destination['runstate'] !== 'running') {
    problems.push(`the destination is ${String(facts.destination['runstate'])}, not running`);
  }
  return problems;
}

/** Events in time order, times relative to `migrate` in milliseconds with three decimals. */
export function timeline(events: readonly SidedEvent[], migrateAt: number): DemoEvent[] {
  return [...events]
    .sort((a, b) => a.at - b.at)
    .map(({ side, name, data, at }) => ({
      side,
      name,
      data: plainNumbers(data),
      t: Math.round((at - migrateAt) * 1000) / 1000,
    }));
}

/** A copy that JSON can hold: bigints become numbers where that is exact, else text. */
export function plainNumbers<T extends Readonly<Record<string, unknown>>>(value: T): T {
  return JSON.parse(
    JSON.stringify(value, (_key, item: unknown) => {
      if (typeof item !== 'bigint') return item;
      return Number.isSafeInteger(Number(item)) ? Number(item) : item.toString();
    }),
  ) as T;
}
