// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { refusedInput } from '../../../src-main/shells/electron/plain-input.ts';

describe('what may come over IPC', () => {
  it.each([
    [{}],
    [{ runId: 'x', list: [1, 2.5, true, null], inner: { deep: ['text'] } }],
    [undefined],
    ['a'.repeat(1_000_000)],
  ])('is plain data (%#)', (value) => {
    expect(refusedInput(value)).toBeNull();
  });

  it.each([
    ['a map', new Map([[1, 2]])],
    ['a set', { inner: new Set() }],
    ['a date', [new Date(0)]],
    ['bytes', new Uint8Array(8)],
    ['a buffer', new ArrayBuffer(8)],
    ['an error', { error: new Error('x') }],
    ['a big integer', { size: 1n }],
    ['a regular expression', /x/],
    ['an object without a prototype', Object.create(null) as object],
  ])('is not %s', (_what, value) => {
    expect(refusedInput(value)).toBe('The input is not plain data.');
  });

  it('is not deep, nor a cycle', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    expect(refusedInput(cycle)).toBe('The input is nested too deeply.');
    let deep: unknown = {};
    for (let level = 0; level < 100; level += 1) deep = [deep];
    expect(refusedInput(deep)).toBe('The input is nested too deeply.');
  });

  it.each([
    ['a long text', 'a'.repeat(1_100_000)],
    ['many short texts', Array.from({ length: 200_000 }, () => 'abcdef')],
    ['many numbers', { list: Array.from({ length: 300_000 }, (_, index) => index) }],
    ['an array that is only long', new Array(2 ** 32 - 1)],
    ['long names', Object.fromEntries([['k'.repeat(1_100_000), 1]])],
    ['one array many times', Array(100).fill(Array(100).fill(Array(100).fill('x')))],
  ])('is not large: %s', (_what, value) => {
    const began = performance.now();
    expect(refusedInput(value)).toBe('The input is too large.');
    // It is refused without being walked to its end.
    expect(performance.now() - began).toBeLessThan(1000);
  });
});
