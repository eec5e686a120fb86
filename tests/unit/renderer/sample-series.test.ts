// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { SampleSeries } from '../../../src-renderer/lib/sample-series.ts';
import type { RunSample } from '../../../src-shared/run.ts';
import { seeded } from '../vmstate/seeded.ts';

const sample = (t: number, change: Partial<RunSample> = {}): RunSample => ({
  t,
  status: 'active',
  destinationStatus: 'active',
  pass: 1,
  transferredBytes: 0,
  remainingBytes: 100,
  totalBytes: 1000,
  throughput: 10,
  dirtyRate: null,
  expectedDowntimeMs: null,
  downtimeLimitMs: 300,
  thresholdBytes: null,
  maxBandwidth: 0,
  throttlePercent: null,
  normalPages: 0,
  zeroPages: 0,
  ...change,
});

describe('the samples of a chart', () => {
  it('are all there while they are few, and what is not known is not drawn', () => {
    const series = new SampleSeries();
    for (let index = 0; index < 1000; index += 1) series.push(sample(index * 100));
    expect(series.length).toBe(1000);
    expect(series.times()[999]).toBeCloseTo(99.9);
    expect(Number.isNaN(series.column('dirtyRate')[5])).toBe(true);
  });

  it('stay bounded, in order, and keep every column’s highest and lowest value, however many they are', () => {
    const random = seeded(7);
    const series = new SampleSeries();
    const seen: number[] = [];
    const left: number[] = [];
    for (let index = 0; index < 18_000; index += 1) {
      const throughput = random.below(1_000_000);
      const remainingBytes = 1 + random.below(1_000_000);
      seen.push(throughput);
      left.push(remainingBytes);
      series.push(sample(index * 100, { throughput, remainingBytes, dirtyRate: 5 }));
    }
    expect(series.taken).toBe(18_000);
    expect(series.length).toBeLessThanOrEqual(4096);
    for (const [column, values] of [
      ['throughput', seen],
      ['remaining', left],
    ] as const) {
      expect(Math.max(...series.column(column))).toBe(Math.max(...values));
      expect(Math.min(...series.column(column))).toBe(Math.min(...values));
    }
    const times = [...series.times()];
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });
});
