// SPDX-License-Identifier: Apache-2.0
import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  any,
  array,
  bool,
  checkArguments,
  int,
  object,
  oneOf,
  optional,
  str,
  strOrNull,
  taggedUnion,
  uint,
  uint64,
  type Infer,
} from '../../../src-main/control/arguments.ts';
import type { JsonInput } from '../../../src-main/control/json.ts';
import { QmpError } from '../../../src-main/control/protocol.ts';
import { COMMAND_LIMITS, JsonReader } from '../../../src-main/control/reader.ts';

function parse(text: string): JsonInput {
  const [result] = new JsonReader(COMMAND_LIMITS).push(Buffer.from(`${text} `));
  if (result?.ok !== true) throw new Error(`not JSON: ${text}`);
  return result.value;
}

const schema = object({
  name: str(),
  wide: optional(uint64()),
  level: optional(uint(8)),
  port: optional(uint(16)),
  delay: optional(uint(32)),
  signed: optional(int()),
  flag: optional(bool()),
  creds: optional(strOrNull()),
  mode: optional(oneOf(['normal', 'other'])),
  modes: optional(array(oneOf(['normal']))),
  list: optional(array(object({ node: str(), inner: optional(object({ on: bool() })) }))),
  addr: optional(
    taggedUnion('transport', {
      socket: taggedUnion('type', {
        inet: object({ host: str(), port: optional(uint(16)) }),
        unix: object({ path: str() }),
      }),
      exec: object({ args: array(str()) }),
    }),
  ),
  free: optional(any()),
});

const check = (text: string): unknown => checkArguments(schema, parse(text));

describe('argument schemas', () => {
  it.each([
    ['{}', `Parameter 'name' is missing`],
    [`{'x':1}`, `Parameter 'name' is missing`],
    [`{'name':'a','x':1}`, `Parameter 'x' is unexpected`],
    [`{'name':5}`, `Invalid parameter type for 'name', expected: string`],
    [`{'name':null}`, `Invalid parameter type for 'name', expected: string`],
    [`{'name':'a','flag':0}`, `Invalid parameter type for 'flag', expected: boolean`],
    [`{'name':'a','flag':null}`, `Invalid parameter type for 'flag', expected: boolean`],
    [`{'name':'a','creds':5}`, `Invalid parameter type for 'creds', expected: StrOrNull`],
    [`{'name':'a','signed':1.5}`, `Invalid parameter type for 'signed', expected: integer`],
    [`{'name':'a','signed':'1'}`, `Invalid parameter type for 'signed', expected: integer`],
    [`{'name':'a','signed':9223372036854775808}`, `Invalid parameter type for 'signed', expected: integer`],
    [`{'name':'a','wide':'1'}`, `Parameter 'wide' expects uint64`],
    [`{'name':'a','wide':1.0}`, `Parameter 'wide' expects uint64`],
    [`{'name':'a','wide':18446744073709551616}`, `Parameter 'wide' expects uint64`],
    [`{'name':'a','level':256}`, `Parameter 'level' expects uint8_t`],
    [`{'name':'a','level':-1}`, `Parameter 'level' expects uint8_t`],
    [`{'name':'a','level':1.0}`, `Parameter 'level' expects uint64`],
    [`{'name':'a','port':65536}`, `Parameter 'port' expects uint16_t`],
    [`{'name':'a','delay':4294967296}`, `Parameter 'delay' expects uint32_t`],
    [`{'name':'a','mode':'x'}`, `Parameter 'mode' does not accept value 'x'`],
    [`{'name':'a','mode':5}`, `Invalid parameter type for 'mode', expected: string`],
    [`{'name':'a','modes':['x']}`, `Parameter 'null' does not accept value 'x'`],
    [`{'name':'a','modes':[5]}`, `Invalid parameter type for 'modes[0]', expected: string`],
    [`{'name':'a','modes':5}`, `Invalid parameter type for 'modes', expected: array`],
    [`{'name':'a','list':[5]}`, `Invalid parameter type for 'list[0]', expected: object`],
    [`{'name':'a','list':[1.0]}`, `Invalid parameter type for 'list[0]', expected: object`],
    [`{'name':'a','list':[{'node':'n'},{}]}`, `Parameter 'list[1].node' is missing`],
    [`{'name':'a','list':[{'node':'n','z':1}]}`, `Parameter 'list[0].z' is unexpected`],
    [`{'name':'a','list':[{'node':'n','inner':{}}]}`, `Parameter 'list[0].inner.on' is missing`],
    [`{'name':'a','addr':{}}`, `Parameter 'addr.transport' is missing`],
    [`{'name':'a','addr':{'transport':'x'}}`, `Parameter 'transport' does not accept value 'x'`],
    [`{'name':'a','addr':{'transport':'socket'}}`, `Parameter 'addr.type' is missing`],
    [`{'name':'a','addr':{'transport':'socket','type':'inet'}}`, `Parameter 'addr.host' is missing`],
    [
      `{'name':'a','addr':{'transport':'socket','type':'inet','host':'h','port':70000}}`,
      `Parameter 'port' expects uint16_t`,
    ],
    [
      `{'name':'a','addr':{'transport':'socket','type':'inet','host':'h','port':'x'}}`,
      `Parameter 'addr.port' expects uint64`,
    ],
    [`{'name':'a','addr':{'transport':'exec','args':[],'host':'h'}}`, `Parameter 'addr.host' is unexpected`],
  ])('refuse %s', (text, sentence) => {
    expect(() => check(text)).toThrow(new QmpError('GenericError', sentence));
  });

  it('accept what is right, in its type', () => {
    const text = `{'name':'a','wide':-1,'level':255,'signed':-9223372036854775808,'creds':null,'mode':'other',
      'addr':{'transport':'socket','type':'unix','path':'/p'},'free':{'x':[1.0]},'list':[{'node':'n','inner':{'on':true}}]}`;
    expect(check(text)).toEqual({
      name: 'a',
      wide: 18446744073709551615n,
      level: 255,
      signed: -9223372036854775808n,
      creds: null,
      mode: 'other',
      addr: { transport: 'socket', type: 'unix', path: '/p' },
      free: { x: [1] },
      list: [{ node: 'n', inner: { on: true } }],
    });
  });

  it('wrap negative 64-bit integers and keep small ones as numbers', () => {
    expect(check(`{'name':'a','wide':4096}`)).toEqual({ name: 'a', wide: 4096 });
    expect(
      check(`{'name':'a','wide':-18446744073709551616}`.replace('18446744073709551616', '9223372036854775808')),
    ).toEqual({ name: 'a', wide: 9223372036854775808n });
  });

  it('know no member that an object merely inherits', () => {
    expect(() => check(`{'name':'a','__proto__':1}`)).toThrow(`Parameter '__proto__' is unexpected`);
    expect(() => check(`{'name':'a','constructor':1}`)).toThrow(`Parameter 'constructor' is unexpected`);
    expect(() => checkArguments(object({ toString: str() }), parse('{}'))).toThrow(`Parameter 'toString' is missing`);
  });

  it('give the type of what they accept', () => {
    type Value = Infer<typeof schema>;
    expectTypeOf<Value['name']>().toEqualTypeOf<string>();
    expectTypeOf<Value['wide']>().toEqualTypeOf<number | bigint | undefined>();
    expectTypeOf<Value['mode']>().toEqualTypeOf<'normal' | 'other' | undefined>();
  });
});
