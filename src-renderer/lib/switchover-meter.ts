// SPDX-License-Identifier: Apache-2.0
/** How far a run is from its switchover. Pure. */
import type { RunSample } from '../../src-shared/run.ts';

export type Meter =
  | { readonly kind: 'none' }
  /** Of the first pass: from 0 to 1. A percentage would run backwards later. */
  | { readonly kind: 'pass-one'; readonly part: number }
  /** What is left, in multiples of what fits into the limit. `end` is where the scale ends. */
  | { readonly kind: 'distance'; readonly times: number; readonly end: number };

const ENDS = [2, 5, 10, 20, 50] as const;

export function meterOf(sample: RunSample | null): Meter {
  if (sample === null || sample.totalBytes === 0 || sample.pass === 0) return { kind: 'none' };
  if (sample.pass === 1) {
    return { kind: 'pass-one', part: Math.min(1, Math.max(0, 1 - sample.remainingBytes / sample.totalBytes)) };
  }
  if (sample.thresholdBytes === null || sample.thresholdBytes === 0) return { kind: 'none' };
  const times = sample.remainingBytes / sample.thresholdBytes;
  return { kind: 'distance', times, end: ENDS.find((end) => times <= end) ?? 50 };
}
