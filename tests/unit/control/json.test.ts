// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { plainJson, WholeDouble, writeJson } from '../../../src-main/control/json.ts';

describe('the JSON writer', () => {
  it('writes bigints as integers and leaves out undefined members', () => {
    expect(writeJson({ size: 2n ** 64n - 1n, none: undefined, list: [1, -0, true, null] })).toBe(
      '{"size": 18446744073709551615, "list": [1, 0, true, null]}',
    );
  });

  it('writes printable ASCII only', () => {
    expect(writeJson('é😀\u0000\u007f\n"\\/')).toBe('"\\u00E9\\uD83D\\uDE00\\u0000\\u007F\\n\\"\\\\/"');
  });

  it('writes an unpaired surrogate as the replacement character', () => {
    expect(writeJson('a\ud800b')).toBe('"a\\uFFFDb"');
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, undefined, [undefined], () => 1, Symbol('x')])(
    'refuses %s, which JSON cannot say',
    (value) => {
      expect(() => writeJson(value)).toThrow(TypeError);
    },
  );

  it('refuses a value that contains itself', () => {
    const loop: unknown[] = [];
    loop.push(loop);
    expect(() => writeJson(loop)).toThrow(RangeError);
  });

  it('makes plain numbers of whole doubles at any depth', () => {
    expect(plainJson({ a: [new WholeDouble(1), { b: new WholeDouble(1e20) }] })).toEqual({ a: [1, { b: 1e20 }] });
  });
});
