// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { adviceFor } from '../../../src-renderer/lib/advice.ts';
import { bytesText, clockText, durationText } from '../../../src-renderer/lib/format.ts';
import { parseBandwidth, parseMilliseconds } from '../../../src-renderer/lib/limit-fields.ts';
import { meterOf } from '../../../src-renderer/lib/switchover-meter.ts';
import type { RunSample } from '../../../src-shared/run.ts';

const MIB = 1024 ** 2;
const stuck: RunSample = {
  t: 56_000,
  status: 'active',
  destinationStatus: 'active',
  pass: 5,
  transferredBytes: 900 * MIB,
  remainingBytes: 100 * MIB,
  totalBytes: 512 * MIB,
  throughput: 32 * MIB,
  dirtyRate: 40 * MIB,
  expectedDowntimeMs: 3000,
  downtimeLimitMs: 300,
  thresholdBytes: 10 * MIB,
  maxBandwidth: 32 * MIB,
  throttlePercent: null,
  normalPages: 0,
  zeroPages: 0,
};
const run = (sample: RunSample) => ({ machineName: 'db1', status: 'active' as const, sample });
const level = [100, 98, 101].map((mib) => mib * MIB);

describe('the distance meter', () => {
  it('is a percentage in pass 1 only', () => {
    expect(meterOf({ ...stuck, pass: 1, remainingBytes: 128 * MIB })).toEqual({ kind: 'pass-one', part: 0.75 });
    expect(meterOf({ ...stuck, pass: 2 }).kind).toBe('distance');
    expect(meterOf(null)).toEqual({ kind: 'none' });
    expect(meterOf({ ...stuck, thresholdBytes: null })).toEqual({ kind: 'none' });
  });

  it.each([
    [15, 2],
    [49, 5],
    [100, 10],
    [101, 20],
    [499, 50],
    [9000, 50],
  ])('ends at a round multiple: %i MiB left at %i', (left, end) => {
    expect(meterOf({ ...stuck, remainingBytes: left * MIB })).toEqual({ kind: 'distance', times: left / 10, end });
  });
});

describe('advice', () => {
  it('comes when three passes brought nothing, names the cause, and says what each way out costs', () => {
    const advice = adviceFor(run(stuck), level, 'binary');
    expect(advice?.title).toBe('db1 dirties 40 MiB/s, the link carries 32 MiB/s');
    expect(advice?.actions.map(({ title, limits }) => [title, limits])).toEqual([
      ['Lift the bandwidth limit', { maxBandwidth: 0 }],
      ['Allow a pause of 3.45 s', { downtimeLimitMs: 3450 }],
    ]);
  });

  it('is not given to a run that gets on, that has just begun, or that is not copying', () => {
    expect(adviceFor(run(stuck), [100 * MIB, 60 * MIB, 30 * MIB], 'binary')).toBeNull();
    expect(adviceFor(run({ ...stuck, pass: 2 }), level, 'binary')).toBeNull();
    expect(adviceFor({ ...run(stuck), status: 'device' }, level, 'binary')).toBeNull();
  });

  it('offers no pause that no run may have', () => {
    const advice = adviceFor(run({ ...stuck, expectedDowntimeMs: 4_000_000 }), level, 'binary');
    expect(advice?.actions.map(({ button }) => button)).toEqual(['Lift limit']);
  });

  it('does not offer to lift a limit that is not what holds it', () => {
    const advice = adviceFor(run({ ...stuck, maxBandwidth: 0 }), level, 'binary');
    expect(advice?.actions.map(({ button }) => button)).toEqual(['Set limit']);
  });
});

describe('figures', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [256 * MIB, '256 MiB'],
    [1.5 * 1024 ** 3, '1.50 GiB'],
  ])('%i bytes are %s', (bytes, text) => expect(bytesText(bytes)).toBe(text));
  it.each([
    [0, '0 ms'],
    [0.4, '0.4 ms'],
    [84, '84 ms'],
    [1250, '1.25 s'],
    [70_000, '1 min 10 s'],
    [90_061_000, '1 d 1 h'],
  ])('%f ms are %s', (ms, text) => expect(durationText(ms)).toBe(text));
  it('count minutes in a run and hours in a long one', () => {
    expect([clockText(56_400), clockText(56_400, true), clockText(3_723_000)]).toEqual(['0:56', '0:56.4', '1:02:03']);
  });
});

describe('limits as users type them', () => {
  it.each([
    ['64M', 64 * MIB, ''],
    ['0', 0, ''],
    ['64M/s', 64 * MIB, ''],
    ['100', 100, /did you leave out the M/],
    ['fast', 0, /is not a bandwidth/],
  ])('%s', (text, value, error) => {
    const parsed = parseBandwidth(text);
    expect(parsed.value).toBe(value);
    if (typeof error === 'string') expect(parsed.error).toBe(error);
    else expect(parsed.error).toMatch(error);
  });
  it.each(['-1', '1.5', 'soon', '2000001'])('%s is no pause', (text) => {
    expect(parseMilliseconds(text).error).toMatch(/whole number of milliseconds/);
  });
});
