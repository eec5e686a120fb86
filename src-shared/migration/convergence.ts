// SPDX-License-Identifier: Apache-2.0
/** Whether a run gets nearer to its switchover, by what was left when each pass began. Pure. */

/** So many passes must have gone by without a drop of what is left. */
const PASSES = 3;
/** Less than a tenth is no drop: it is the guest's pace that varies. */
const SAME = 0.9;

/** `pass`: the one under way, from 1. `leftAtPasses`: bytes left when each pass began, oldest first. */
export function doesNotConverge(pass: number, leftAtPasses: readonly number[]): boolean {
  if (pass <= PASSES) return false;
  const recent = leftAtPasses.slice(-PASSES);
  const [first] = recent;
  const last = recent.at(-1);
  return recent.length === PASSES && first !== undefined && last !== undefined && last > first * SAME;
}
