// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { formatBytes, formatSizeExactly, parseSize } from '../../../src-shared/sizes.ts';

describe('parseSize', () => {
  test.each([
    ['0', 0],
    ['4096', 4096],
    ['1K', 1024],
    ['256M', 256 * 1024 ** 2],
    ['256m', 256 * 1024 ** 2],
    ['256MB', 256 * 1024 ** 2],
    ['256 MiB', 256 * 1024 ** 2],
    ['1.5G', 1.5 * 1024 ** 3],
    [' 4G ', 4 * 1024 ** 3],
    ['2T', 2 * 1024 ** 4],
  ])('reads %j as %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(['', 'M', '-1', '1e6', '0x10', '256X', '1.3K', '1..5G', '99999999999G', '256M4', '٣M', '1,5G'])(
    'refuses %j',
    (text) => {
      expect(parseSize(text)).toBeUndefined();
    },
  );
});

describe('formatSizeExactly', () => {
  test('writes what parseSize reads back, for sizes of every magnitude', () => {
    const seed = Date.now() % 2 ** 31;
    let state = seed;
    for (let round = 0; round < 2000; round += 1) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      const bytes = Math.floor((state / 2 ** 32) * 2 ** (round % 50));
      expect(parseSize(formatSizeExactly(bytes)), `seed ${String(seed)}, bytes ${String(bytes)}`).toBe(bytes);
    }
  });

  test.each([
    [256 * 1024 ** 2, '256M'],
    [4 * 1024 ** 3, '4G'],
    [1536, '1536'],
    [1536 * 1024, '1536K'],
    [0, '0'],
  ])('writes %d as %s', (bytes, text) => {
    expect(formatSizeExactly(bytes)).toBe(text);
  });
});

describe('formatBytes', () => {
  test.each([
    [0, '0 B'],
    [512, '512 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [45 * 1024 ** 2, '45 MiB'],
    [268435456, '256 MiB'],
    [1024 ** 2 - 1, '1 MiB'],
    [12.34 * 1024 ** 3, '12.3 GiB'],
    [5000 * 1024 ** 4, '5000 TiB'],
    [-1, '0 B'],
  ])('writes %d bytes as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
