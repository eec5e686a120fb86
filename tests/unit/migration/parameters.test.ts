// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  applyParameters,
  checkParameters,
  DEFAULT_PARAMETERS,
  missingParameterMechanism,
  PARAMETER_NAMES,
  type ParameterChange,
} from '../../../src-shared/migration/parameters.ts';
import { toUint64 } from '../../../src-shared/migration/uint64.ts';

const refusal = (change: ParameterChange): string | undefined => {
  const outcome = applyParameters(DEFAULT_PARAMETERS, change);
  return outcome.ok ? undefined : outcome.sentence;
};

describe('the parameter table', () => {
  it('has right defaults for all but the bitmap mapping', () => {
    expect(checkParameters(DEFAULT_PARAMETERS)).toBeUndefined();
    expect(PARAMETER_NAMES.filter((name) => !(name in DEFAULT_PARAMETERS))).toEqual(['block-bitmap-mapping']);
    expect(DEFAULT_PARAMETERS).toMatchObject({
      'max-bandwidth': 134217728,
      'downtime-limit': 300,
      'multifd-channels': 2,
      'xbzrle-cache-size': 67108864,
      mode: 'normal',
      'tls-creds': '',
    });
  });

  const percent = 'an integer in the range of 1 to 99';
  it.each<[string, number, number, string]>([
    ['announce-initial', 0, 100_000, 'a value between 0 and 100000'],
    ['announce-max', 0, 100_000, 'a value between 0 and 100000'],
    ['announce-rounds', 0, 1000, 'a value between 0 and 1000'],
    ['announce-step', 1, 10_000, 'a value between 0 and 10000'],
    ['throttle-trigger-threshold', 1, 100, 'an integer in the range of 1 to 100'],
    ['cpu-throttle-initial', 1, 99, percent],
    ['cpu-throttle-increment', 1, 99, percent],
    ['max-cpu-throttle', 20, 99, 'an integer in the range of cpu_throttle_initial to 99'],
    ['downtime-limit', 0, 2_000_000, 'an integer in the range of 0 to (2000 * 1000) ms'],
    ['multifd-channels', 1, 255, 'a value between 1 and 255'],
    ['multifd-zlib-level', 0, 9, 'a value between 0 and 9'],
    ['multifd-zstd-level', 0, 20, 'a value between 0 and 20'],
    ['compress-level', 0, 9, 'a value between 0 and 9'],
    ['compress-threads', 1, 255, 'a value between 1 and 255'],
    ['decompress-threads', 1, 255, 'a value between 1 and 255'],
  ])('takes %s from %i to %i', (name, min, max, text) => {
    const sentence = `Parameter '${name.replaceAll('-', '_')}' expects ${text}`;
    expect(refusal({ [name]: min })).toBeUndefined();
    expect(refusal({ [name]: max })).toBeUndefined();
    expect(refusal({ [name]: max + 1 })).toBe(sentence);
    if (min > 0) expect(refusal({ [name]: min - 1 })).toBe(sentence);
  });

  it('keeps its odd sentences', () => {
    const period = "Parameter 'x-vcpu-dirty-limit-period' expects a value between 1 and 1000";
    expect(refusal({ 'x-vcpu-dirty-limit-period': 0 })).toBe(period);
    expect(refusal({ 'x-vcpu-dirty-limit-period': 1001 })).toBe(period);
    expect(refusal({ 'vcpu-dirty-limit': 0 })).toBe("Parameter 'vcpu_dirty_limit' must be greater than 1 MB/s");
    expect(refusal({ 'vcpu-dirty-limit': 1 })).toBeUndefined();
  });

  it.each([0, 1, 2048, 4097, 12288, 2n ** 63n + 1n])('refuses the xbzrle cache size %s', (size) => {
    expect(refusal({ 'xbzrle-cache-size': size })).toBe(
      "Parameter 'xbzrle_cache_size' expects a power of two no less than the target page size",
    );
  });

  it.each([4096, 2 ** 40, 2n ** 63n])('takes the xbzrle cache size %s', (size) => {
    expect(refusal({ 'xbzrle-cache-size': size })).toBeUndefined();
  });

  it('refuses 64-bit values beyond a range, however large', () => {
    expect(refusal({ 'downtime-limit': 2n ** 64n - 1n })).toContain("'downtime_limit' expects");
    expect(refusal({ 'max-bandwidth': 2n ** 64n - 1n, 'max-postcopy-bandwidth': 2n ** 64n - 1n })).toBeUndefined();
  });
});

describe('a change of parameters', () => {
  it('is laid over the set in force, which stays as it was', () => {
    const outcome = applyParameters(DEFAULT_PARAMETERS, { 'max-bandwidth': 0, 'tls-hostname': null, mode: undefined });
    expect(outcome).toEqual({
      ok: true,
      parameters: { ...DEFAULT_PARAMETERS, 'max-bandwidth': 0, 'tls-hostname': '' },
    });
    expect(DEFAULT_PARAMETERS['max-bandwidth']).toBe(134217728);
  });

  it('is refused as a whole', () => {
    expect(refusal({ 'max-bandwidth': 0, 'multifd-channels': 0 })).toContain('multifd_channels');
  });

  it('is checked against what is in force', () => {
    expect(refusal({ 'cpu-throttle-initial': 50, 'max-cpu-throttle': 60 })).toBeUndefined();
    const lowered = { ...DEFAULT_PARAMETERS, 'max-cpu-throttle': 30 };
    expect(applyParameters(lowered, { 'cpu-throttle-initial': 31 })).toEqual({
      ok: false,
      sentence: "Parameter 'max_cpu_throttle' expects an integer in the range of cpu_throttle_initial to 99",
    });
  });

  it('reports the first of several errors in a fixed order', () => {
    expect(refusal({ 'announce-max': 100_001, 'cpu-throttle-initial': 0 })).toContain('cpu_throttle_initial');
  });

  it('takes an empty mapping of bitmaps as a value', () => {
    expect(applyParameters(DEFAULT_PARAMETERS, { 'block-bitmap-mapping': [] })).toMatchObject({
      ok: true,
      parameters: { 'block-bitmap-mapping': [] },
    });
  });

  it('keeps compression and TLS out of zero-copy', () => {
    for (const change of [{ 'multifd-compression': 'zlib' }, { 'tls-creds': 'tls0' }] as const) {
      expect(applyParameters(DEFAULT_PARAMETERS, change, { zeroCopySend: true })).toEqual({
        ok: false,
        sentence: 'Zero copy only available for non-compressed non-TLS multifd migration',
      });
      expect(applyParameters(DEFAULT_PARAMETERS, change).ok).toBe(true);
    }
  });
});

describe('what a migration cannot honour', () => {
  it('is named: encryption above all', () => {
    expect(missingParameterMechanism(DEFAULT_PARAMETERS)).toBeUndefined();
    expect(missingParameterMechanism({ ...DEFAULT_PARAMETERS, 'tls-creds': 'tls0' })).toBe(
      "No TLS credentials with id 'tls0'",
    );
    expect(missingParameterMechanism({ ...DEFAULT_PARAMETERS, mode: 'cpr-transfer' })).toContain("mode 'cpr-transfer'");
  });
});

describe('64-bit integers', () => {
  it.each([
    [0, 0],
    [-1, 2n ** 64n - 1n],
    [-(2n ** 63n), 2n ** 63n],
    [2n ** 53n, 2n ** 53n],
    [5n, 5],
    [2 ** 53 - 1, 2 ** 53 - 1],
    [2n ** 64n, undefined],
    [-(2n ** 63n) - 1n, undefined],
    [0.5, undefined],
    [Number.NaN, undefined],
  ])('of %s is %s', (value, expected) => {
    expect(toUint64(value)).toBe(expected);
  });
});
