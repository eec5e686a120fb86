// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { plainJson, WholeDouble, writeJson } from '../../../src-main/control/json.ts';
import { COMMAND_LIMITS, JsonReader, type JsonResult } from '../../../src-main/control/reader.ts';
import { chunksOf, seeded, type Random } from './random.ts';

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

function readAll(chunks: readonly Uint8Array[], limits = COMMAND_LIMITS): JsonResult[] {
  const reader = new JsonReader(limits);
  return [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.finish()];
}

/** Values as JSON, errors as their sentence without the common beginning. */
const read = (text: string | Buffer, limits = COMMAND_LIMITS): string[] =>
  readAll([typeof text === 'string' ? latin1(text) : text], limits).map((result) =>
    result.ok ? writeJson(result.value) : result.sentence.replace(/^JSON parse error, /u, ''),
  );

describe('the JSON reader', () => {
  it.each([
    ['{}[]', ['{}', '[]']],
    [`{'a': "it's", "b": 'say "x"'}`, [`{"a": "it's", "b": "say \\"x\\""}`]],
    ['\t\r\n true', ['true']],
    ['null false 12 -3', ['null', 'false', '12', '-3']],
    ['12ab', ['12', `invalid keyword 'ab'`]],
    ['0.25 1e3 -0 -0.0 2.5E+1 5e-1', ['0.25', '1000', '0', '0', '25', '0.5']],
    [`'\\u00e9\\ud83d\\ude00\\b\\f\\n\\r\\t\\/\\'\\"\\\\'`, [`"\\u00E9\\uD83D\\uDE00\\b\\f\\n\\r\\t/'\\"\\\\"`]],
    [`'\xc3\xa9\xf0\x9f\x98\x80'`, ['"\\u00E9\\uD83D\\uDE00"']],
    [`'\\u0000\xc0\x80'`, ['"\\u0000\\u0000"']],
    [
      '9007199254740991 9007199254740992 -9007199254740993',
      ['9007199254740991', '9007199254740992', '-9007199254740993'],
    ],
    ['18446744073709551615 -9223372036854775808', ['18446744073709551615', '-9223372036854775808']],
    [`{"__proto__": {"x": 1}, "constructor": 2}`, [`{"__proto__": {"x": 1}, "constructor": 2}`]],
  ])('reads %j', (text, values) => {
    expect(read(text)).toEqual(values);
  });

  it('gives integers beyond 2^53 as bigints, and integers beyond 64 bits as doubles', () => {
    const [exact, small, beyond] = readAll([latin1('9007199254740993 9007199254740991 18446744073709551616 ')]);
    expect(exact).toEqual({ ok: true, value: 9007199254740993n });
    expect(small).toEqual({ ok: true, value: 9007199254740991 });
    expect(beyond).toEqual({ ok: true, value: new WholeDouble(2 ** 64) });
  });

  it('tells 1.0 from 1', () => {
    expect(readAll([latin1('1.0 1 ')])).toEqual([
      { ok: true, value: new WholeDouble(1) },
      { ok: true, value: 1 },
    ]);
  });

  it.each([
    ['nope', `invalid keyword 'nope'`],
    [`{'a' 1}`, 'missing : in object pair'],
    [`{'a':1 'b':2}`, 'expected separator in dict'],
    ['[1 2]', 'expected separator in list'],
    ['[1,2}', 'expected separator in list'],
    [']', 'expecting value'],
    [`{'a':1,}`, 'expecting value'],
    ['{1:2}', 'key is not a string in object'],
    [`{'a':1,'a':2}`, 'duplicate key'],
    ['@', `stray '@'`],
    ['01', `stray '01'`],
    ['1.\n', `stray '1.\n'`],
    ['--1', `stray '--'`],
    [`'abc\n`, `stray ''abc\n'`],
    [`'\x00'`, `stray '''`],
    ['\xff', `stray '\ufffd'`],
    [`'\\q'`, 'invalid escape sequence in string'],
    [`'\\u12'`, `\\u12' is not a valid Unicode character`],
    [`'\\ud800'`, '\\ud800 is not a valid Unicode character'],
    [`'\\ude00'`, '\\ude00 is not a valid Unicode character'],
    [`'\\uffff'`, '\\uffff is not a valid Unicode character'],
    [`'\\ud83f\\udfff'`, '\\ud83f\\udfff is not a valid Unicode character'],
    [`'\xc3'`, 'invalid UTF-8 sequence in string'],
    [`'\xed\xa0\x80'`, 'invalid UTF-8 sequence in string'],
    [`'\xef\xbf\xbf'`, 'invalid UTF-8 sequence in string'],
    ['1e400', `number '1e400' is out of range`],
    ['-1e400', `number '-1e400' is out of range`],
  ])('says of %j what is wrong, and reads on', (text, sentence) => {
    expect(read(`${text}\n{"next": 1}`)).toEqual([sentence, '{"next": 1}']);
  });

  it.each([
    [`@ 'x' \n'y'`, [`stray '@'`, '"y"']],
    [`@a{'b':1}`, [`stray '@'`, '{"b": 1}']],
    [`{'a': $ }1 `, [`stray '$'`, 'expecting value', '1']],
    [`{'a': nope, 'b': [}]}`, [`invalid keyword 'nope'`, 'expecting value']],
    [`[[[\xff\n{}`, [`stray '\ufffd'`, '{}']],
  ])('drops of %j no more than the broken construct', (text, results) => {
    expect(read(text)).toEqual(results);
  });

  it('says nothing of a value that the end of the stream cuts', () => {
    expect(read(`{'a': [1, 2`)).toEqual([]);
    expect(read(`[1, 'abc`)).toEqual([`stray ''abc'`]);
  });

  it('reads a number or keyword at the very end of the stream', () => {
    expect(read('12')).toEqual(['12']);
    expect(read('tru')).toEqual([`invalid keyword 'tru'`]);
  });
});

describe('the caps of the JSON reader', () => {
  const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

  it('takes 64 nested brackets and refuses 65', () => {
    expect(read(deep(64))).toHaveLength(1);
    const [first, ...rest] = read(`${deep(65)}\n{}`);
    expect(first).toBe('JSON nesting depth limit exceeded');
    expect(rest.slice(0, -1)).toEqual(Array.from({ length: 65 }, () => 'expecting value'));
    expect(rest.at(-1)).toBe('{}');
  });

  it('takes a message of 1 MiB and refuses a longer one, in one piece or in many', () => {
    const longest = `"${'x'.repeat(COMMAND_LIMITS.maxBytes - 2)}"`;
    expect(read(longest)).toEqual([longest]);
    const beyond = latin1(`"x${longest.slice(1)}\n{}`);
    expect(read(beyond)).toEqual(['JSON token size limit exceeded', '{}']);
    const pieces = Array.from({ length: Math.ceil(beyond.length / 999) }, (_, index) =>
      beyond.subarray(index * 999, (index + 1) * 999),
    );
    expect(readAll(pieces)).toEqual(readAll([beyond]));
  });

  it('counts all tokens of a message', () => {
    const limits = { maxBytes: 100, maxDepth: 64, maxTokens: 5 };
    expect(read('[1,2]', limits)).toEqual(['[1, 2]']);
    expect(read('[1,2,3]\n7 ', limits)).toEqual(['JSON token count limit exceeded', 'expecting value', '7']);
    expect(read(`['${'x'.repeat(60)}','${'y'.repeat(60)}']`, limits)[0]).toBe('JSON token size limit exceeded');
  });

  it('takes white space without end', () => {
    const reader = new JsonReader(COMMAND_LIMITS);
    for (let i = 0; i < 40; i++) expect(reader.push(Buffer.alloc(1 << 16, ' '))).toEqual([]);
    expect(reader.push(latin1('{}'))).toHaveLength(1);
  });

  it('repeats no more than a piece of broken input', () => {
    expect(read(`'${'x'.repeat(100_000)}\n`)[0]?.length).toBeLessThan(1100);
    expect(read(`${'x'.repeat(100_000)}\n`)[0]?.length).toBeLessThan(1100);
  });
});

describe('properties of the JSON reader', () => {
  const seeds = [1, 2, 3, 5, 8, 13, 21, 34];

  it.each(seeds)('gives the same for any chunking (seed %i)', (seed) => {
    const random = seeded(seed);
    for (let round = 0; round < 100; round++) {
      const bytes = latin1(
        mutate(Array.from({ length: 3 }, () => writeJson(randomValue(random, 3))).join('\n'), random),
      );
      const whole = readAll([bytes]);
      expect(readAll(chunksOf(bytes, random))).toEqual(whole);
      expect(readAll(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(whole);
    }
  });

  it.each(seeds)('reads back what was written (seed %i)', (seed) => {
    const random = seeded(seed);
    for (let round = 0; round < 200; round++) {
      const value = randomValue(random, 4);
      const [result] = readAll([latin1(writeJson(value))]);
      expect(result?.ok === true && plainJson(result.value)).toEqual(value);
    }
  });

  it.each(seeds)('agrees with JSON.parse on what both can say (seed %i)', (seed) => {
    const random = seeded(seed);
    for (let round = 0; round < 200; round++) {
      const text = JSON.stringify(randomValue(random, 4, false));
      const [result] = readAll([Buffer.from(text)]);
      expect(result?.ok === true && plainJson(result.value)).toEqual(JSON.parse(text));
    }
  });

  it.each(seeds)('never throws and is usable after any mutation (seed %i)', (seed) => {
    const random = seeded(seed);
    for (let round = 0; round < 300; round++) {
      const reader = new JsonReader({ maxBytes: 200, maxDepth: 4, maxTokens: 30 });
      const bytes = latin1(mutate(mutate(writeJson(randomValue(random, 5)), random), random));
      for (const result of reader.push(bytes)) {
        if (!result.ok) expect(result.sentence).toMatch(/^JSON (parse error, |token size|token count|nesting depth)/u);
      }
      reader.push(Uint8Array.of(0x0a, 0xff, 0x0a));
      expect(reader.push(latin1('{"alive": true}'))).toMatchObject([{ ok: true }]);
    }
  });
});

const STRINGS = [
  '',
  'plain',
  `quo"te's`,
  'back\\slash',
  'new\nline',
  '\u0000\u001f\u007f',
  'é',
  '漢字',
  '😀',
  '\u2028',
];
const INTEGERS = [0, 1, -1, 4096, 2 ** 53 - 1, -(2 ** 53 - 1), 0.5, -1.25e-7, 1e21];
const WIDE = [2n ** 53n, -(2n ** 53n), 2n ** 64n - 1n, -(2n ** 63n)];

function randomValue(random: Random, depth: number, wide = true): null | boolean | number | bigint | string | object {
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
  switch (random(depth > 0 ? 8 : 5)) {
    case 0:
      return pick([null, true, false]);
    case 1:
    case 2:
      return pick(STRINGS) + pick(STRINGS);
    case 3:
      return pick(INTEGERS);
    case 4:
      return wide ? pick(WIDE) : random(1000);
    case 5:
    case 6:
      return Array.from({ length: random(4) }, () => randomValue(random, depth - 1, wide));
    default:
      return Object.fromEntries(
        Array.from({ length: random(4) }, () => [pick(STRINGS), randomValue(random, depth - 1, wide)]),
      );
  }
}

/** Changes, drops, doubles or inserts a few bytes. */
function mutate(text: string, random: Random): string {
  const bytes = Array.from(text);
  for (let changes = random(4); changes > 0; changes--) {
    const at = random(bytes.length + 1);
    const byte = random(3) === 0 ? String.fromCharCode(random(256)) : ('{}[]:,\'"\\@-0e\n\xff'[random(15)] ?? ' ');
    bytes.splice(at, random(2), ...(random(3) === 0 ? [] : [byte]));
  }
  return bytes.join('');
}
