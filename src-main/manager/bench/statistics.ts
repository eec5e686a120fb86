// SPDX-License-Identifier: Apache-2.0
/** What is said about a handful of noisy measurements: the middle and the spread, never an average. Pure. */

/** Order statistics of at least one value. */
export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly lowerQuartile: number;
  readonly median: number;
  readonly upperQuartile: number;
  readonly max: number;
}

/** Quartiles are interpolated linearly between neighbours. Throws a RangeError without a value or with a NaN. */
export function summarize(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0 || sorted.some(Number.isNaN)) throw new RangeError('there is nothing to summarize');
  return {
    count: sorted.length,
    min: quantile(sorted, 0),
    lowerQuartile: quantile(sorted, 0.25),
    median: quantile(sorted, 0.5),
    upperQuartile: quantile(sorted, 0.75),
    max: quantile(sorted, 1),
  };
}

function quantile(sorted: readonly number[], part: number): number {
  const position = (sorted.length - 1) * part;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

/**
 * Ratio of each pair: `numerators[i] / denominators[i]`, of two lists measured side by side. What disturbed both of a
 * pair cancels out, which it would not in a ratio of two medians.
 */
export function pairRatios(numerators: readonly number[], denominators: readonly number[]): number[] {
  if (numerators.length !== denominators.length) throw new RangeError('both sides of a pair are needed');
  return numerators.map((numerator, index) => numerator / (denominators[index] ?? Number.NaN));
}
