// SPDX-License-Identifier: Apache-2.0
/** Did the guest continue? Pure: from what both ends saw of its heartbeats and of its serial port. */
import type { Heartbeat } from '../machines/replies.ts';

export interface ContinuityFacts {
  /** Heartbeats as the source saw them, read after it had stopped for good. */
  readonly source: readonly Heartbeat[];
  /** Heartbeats as the destination saw them. */
  readonly destination: readonly Heartbeat[];
  /** CORRUPT lines of either side. */
  readonly corrupt: readonly string[];
}

/** One sentence for each thing that is wrong; none: generations strictly continue and the guest found no corruption. */
export function continuityProblems(facts: ContinuityFacts): string[] {
  const problems: string[] = [];
  const [firstCorrupt] = facts.corrupt;
  if (firstCorrupt !== undefined) {
    problems.push(`the guest reported corruption ${String(facts.corrupt.length)} times, first: ${firstCorrupt}`);
  }
  for (const before of facts.source) {
    const after = facts.destination.find((beat) => beat.vcpu === before.vcpu);
    const problem = after === undefined || after.count === 0 ? 'is silent on the destination' : seam(before, after);
    if (problem !== undefined) problems.push(`vCPU ${String(before.vcpu)} ${problem}`);
  }
  return problems;
}

/** What is wrong where the two processes meet: exactly one batch lies between the two heartbeats. */
function seam(before: Heartbeat, after: Heartbeat): string | undefined {
  const step = after['first-generation'] - before.generation;
  const [last, first] = [String(before.generation), String(after['first-generation'])];
  if (step < 0n) return `went back: generation ${last} on the source, then ${first} on the destination`;
  const batch = batchOf(before);
  if (batch !== undefined && (step < batch.least || step > batch.most)) {
    const size = `${String(batch.least)} to ${String(batch.most)}`;
    return `did not continue: generation ${last} on the source, then ${first} on the destination; a batch has ${size}`;
  }
  if (after['first-ns'] <= before['last-ns']) {
    return 'ran in both processes at once: the destination saw it before the source saw it last';
  }
  return undefined;
}

/**
 * Generations between two heartbeats of a vCPU; undefined before the second heartbeat. The rate rarely divides evenly,
 * so batches differ by one: with the average between n and n + 1 each has n or n + 1.
 */
function batchOf(beat: Heartbeat): { readonly least: bigint; readonly most: bigint } | undefined {
  if (beat.count < 2) return undefined;
  const batches = BigInt(beat.count - 1);
  const generations = beat.generation - beat['first-generation'];
  const roundedUp = (generations + batches - 1n) / batches;
  return { least: roundedUp > 0n ? roundedUp - 1n : 0n, most: generations / batches + 1n };
}

/** Sum of the vCPUs' newest generations. */
export function generationSum(beats: readonly Heartbeat[]): bigint {
  return beats.reduce((sum, beat) => sum + beat.generation, 0n);
}

/**
 * The longest time in milliseconds that any vCPU was silent from `sinceNs` (when the migration began) on: gaps inside
 * either process and the gap between the source's last and the destination's first heartbeat.
 */
export function longestPauseMs(
  source: readonly Heartbeat[],
  destination: readonly Heartbeat[],
  sinceNs: bigint,
): number {
  const gaps: bigint[] = [...source, ...destination]
    .filter((beat) => beat['longest-gap-end-ns'] >= sinceNs)
    .map((beat) => beat['longest-gap-ns']);
  for (const before of source) {
    const after = destination.find((beat) => beat.vcpu === before.vcpu);
    if (after !== undefined && after.count > 0) gaps.push(after['first-ns'] - before['last-ns']);
  }
  const longest = gaps.reduce((most, gap) => (gap > most ? gap : most), 0n);
  return Math.round(Number(longest) / 1e4) / 100;
}
