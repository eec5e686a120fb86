// SPDX-License-Identifier: Apache-2.0
/** The samples of one run as columns of numbers, bounded: when they are too many, neighbours are merged. */
import type { RunSample } from '../../src-shared/run.ts';

export const COLUMNS = [
  'throughput',
  'dirtyRate',
  'remaining',
  'threshold',
  'expectedDowntime',
  'downtimeLimit',
] as const;
export type Column = (typeof COLUMNS)[number];

/** Twice what the widest chart has pixels; half an hour at 10 Hz is 18,000. */
const CAP = 4096;

/** Columns whose highest value of a merged pair is kept; of the others the lowest. Extremes are what a reader looks for. */
const KEEP_HIGHEST: ReadonlySet<Column> = new Set([
  'throughput',
  'dirtyRate',
  'expectedDowntime',
  'downtimeLimit',
  'threshold',
]);

export class SampleSeries {
  readonly #times = new Float64Array(CAP);
  readonly #columns = new Map(COLUMNS.map((name) => [name, new Float64Array(CAP)]));
  #length = 0;
  /** Samples that make one point. */
  #perPoint = 1;
  #pending = 0;
  /** How many samples were taken in. */
  taken = 0;

  push(sample: RunSample): void {
    this.taken += 1;
    const values = valuesOf(sample);
    if (this.#pending > 0 && this.#pending < this.#perPoint) this.#merge(this.#length - 1, values);
    else this.#append(sample.t / 1000, values);
    this.#pending += 1;
    if (this.#pending >= this.#perPoint) this.#pending = 0;
  }

  get length(): number {
    return this.#length;
  }

  /** Seconds. The view is valid until the next push. */
  times(): Float64Array {
    return this.#times.subarray(0, this.#length);
  }

  column(name: Column): Float64Array {
    return (this.#columns.get(name) ?? new Float64Array()).subarray(0, this.#length);
  }

  #append(t: number, values: Readonly<Record<Column, number>>): void {
    if (this.#length === CAP) this.#halve();
    this.#times[this.#length] = t;
    for (const [name, column] of this.#columns) column[this.#length] = values[name];
    this.#length += 1;
    this.#pending = 0;
  }

  #merge(index: number, values: Readonly<Record<Column, number>>): void {
    for (const [name, column] of this.#columns)
      column[index] = extreme(name, column[index] ?? Number.NaN, values[name]);
  }

  #halve(): void {
    for (let index = 0; index < CAP / 2; index += 1) {
      this.#times[index] = this.#times[2 * index] ?? 0;
      for (const [name, column] of this.#columns) {
        column[index] = extreme(name, column[2 * index] ?? Number.NaN, column[2 * index + 1] ?? Number.NaN);
      }
    }
    this.#length = CAP / 2;
    this.#perPoint *= 2;
  }
}

function extreme(name: Column, a: number, b: number): number {
  if (Number.isNaN(a)) return b;
  if (Number.isNaN(b)) return a;
  return KEEP_HIGHEST.has(name) ? Math.max(a, b) : Math.min(a, b);
}

/** What is not known is NaN: nothing is drawn. */
function valuesOf(sample: RunSample): Record<Column, number> {
  return {
    throughput: sample.throughput,
    dirtyRate: sample.dirtyRate ?? Number.NaN,
    remaining: sample.remainingBytes,
    threshold: sample.thresholdBytes ?? Number.NaN,
    expectedDowntime: sample.expectedDowntimeMs ?? Number.NaN,
    downtimeLimit: sample.downtimeLimitMs,
  };
}
