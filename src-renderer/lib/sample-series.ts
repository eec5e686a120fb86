// SPDX-License-Identifier: Apache-2.0
/** The samples of one run as columns of numbers, bounded: of too many neighbours the extremes are kept. */
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

/** Twice what the widest chart has pixels; half an hour at 10 Hz is 18,000. A multiple of 4. */
const CAP = 4096;

export class SampleSeries {
  readonly #times = new Float64Array(CAP);
  readonly #columns = new Map(COLUMNS.map((name) => [name, new Float64Array(CAP)]));
  #length = 0;
  /** Samples that two points stand for: their lowest and their highest value, in the order in which they came. */
  #perPair = 2;
  #inPair = 0;
  /** How many samples were taken in. */
  taken = 0;

  push(sample: RunSample): void {
    this.taken += 1;
    const values = valuesOf(sample);
    const t = sample.t / 1000;
    if (this.#perPair === 2) {
      this.#append(t, values);
    } else {
      if (this.#inPair === 0) this.#appendPair(t, values);
      else this.#addToPair(this.#length - 2, t, values);
      this.#inPair = (this.#inPair + 1) % this.#perPair;
    }
    if (this.#length === CAP && this.#inPair === 0) this.#halve();
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

  #append(t: number, values: Values): void {
    this.#times[this.#length] = t;
    for (const [name, column] of this.#columns) column[this.#length] = values[name];
    this.#length += 1;
  }

  #appendPair(t: number, values: Values): void {
    this.#append(t, values);
    this.#append(t, values);
  }

  #addToPair(at: number, t: number, values: Values): void {
    this.#times[at + 1] = t;
    for (const [name, column] of this.#columns) widen(column, at, values[name]);
  }

  /** Four points become two. */
  #halve(): void {
    for (let to = 0; to < CAP / 2; to += 2) {
      const from = 2 * to;
      for (const column of this.#columns.values()) {
        const [a = Number.NaN, b = Number.NaN, c = Number.NaN, d = Number.NaN] = column.subarray(from, from + 4);
        column[to] = a;
        column[to + 1] = a;
        for (const value of [b, c, d]) widen(column, to, value);
      }
      this.#times[to] = this.#times[from] ?? 0;
      this.#times[to + 1] = this.#times[from + 3] ?? 0;
    }
    this.#length = CAP / 2;
    this.#perPair *= 2;
  }
}

type Values = Readonly<Record<Column, number>>;

/** The pair at `at` holds two extremes in their order; a value beyond them becomes the later one. */
function widen(column: Float64Array, at: number, value: number): void {
  const first = column[at] ?? Number.NaN;
  const second = column[at + 1] ?? Number.NaN;
  if (Number.isNaN(value)) return;
  const [low, high] = [Math.min(first, second), Math.max(first, second)];
  if (Number.isNaN(low)) {
    column[at] = value;
    column[at + 1] = value;
  } else if (value > high) {
    column[at] = low;
    column[at + 1] = value;
  } else if (value < low) {
    column[at] = high;
    column[at + 1] = value;
  }
}

/** What is not known is NaN: nothing is drawn. Before its memory is counted a run has no figures. */
function valuesOf(sample: RunSample): Record<Column, number> {
  const counted = sample.totalBytes > 0;
  return {
    throughput: counted ? sample.throughput : Number.NaN,
    dirtyRate: sample.dirtyRate ?? Number.NaN,
    remaining: counted ? sample.remainingBytes : Number.NaN,
    threshold: sample.thresholdBytes ?? Number.NaN,
    expectedDowntime: sample.expectedDowntimeMs ?? Number.NaN,
    downtimeLimit: sample.downtimeLimitMs,
  };
}
