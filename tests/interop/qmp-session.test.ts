// SPDX-License-Identifier: Apache-2.0
/** Our QMP session and client held against a stock QEMU. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QmpClient } from '../../src-main/control/client.ts';
import { object } from '../../src-main/control/arguments.ts';
import { defineCommand, type CommandTable } from '../../src-main/control/command.ts';
import { plainJson, type JsonValue } from '../../src-main/control/json.ts';
import { setCapabilitiesArguments, setParametersArguments } from '../../src-main/control/migration-arguments.ts';
import { QmpError } from '../../src-main/control/protocol.ts';
import { JsonReader, REPLY_LIMITS } from '../../src-main/control/reader.ts';
import { QmpSession } from '../../src-main/control/session.ts';
import { applyCapabilities, DEFAULT_CAPABILITIES } from '../../src-shared/migration/capabilities.ts';
import { applyParameters, DEFAULT_PARAMETERS } from '../../src-shared/migration/parameters.ts';
import { seeded, type Random } from '../unit/control/random.ts';

const QEMU = '/usr/bin/qemu-system-x86_64';
const CONNECT = { timeoutMs: 10_000, waitForSocketMs: 10_000 };

/** FE and FF force every QMP parser into a known state: what was left open is dropped, and an error says so. */
const FORCE_RESTART = Buffer.from([0x0a, 0xff, 0x0a]);
const LAST = Buffer.from(`{'execute':'query-name','id':'the last one'}\n`);
const NEGOTIATE = `{'execute':'qmp_capabilities'}\n`;
const NEGOTIATE_OOB = `{'execute':'qmp_capabilities','arguments':{'enable':['oob']}}\n`;

let directory: string;
let path: string;
let qemu: ChildProcess;

const run = describe.runIf(existsSync(QEMU));
run('QMP against a stock QEMU', () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'godwit-qmp-'));
    path = join(directory, 'qmp');
    const options = ['-M', 'none', '-display', 'none', '-nodefaults', '-S', '-qmp', `unix:${path},server=on,wait=off`];
    qemu = spawn(QEMU, options, { stdio: ['ignore', 'ignore', 'inherit'] });
    await (await QmpClient.connect(path, CONNECT)).close();
  });

  afterAll(async () => {
    if (qemu.exitCode === null) {
      qemu.kill('SIGKILL');
      await once(qemu, 'exit');
    }
    rmSync(directory, { recursive: true, force: true });
  });

  it('connects, is greeted, and asks the version and the status', async () => {
    const client = await QmpClient.connect(path, CONNECT);
    expect(client.greeting.QMP.capabilities).toEqual(['oob']);
    expect(await client.execute('query-version')).toEqual(client.greeting.QMP.version);
    expect(await client.execute('query-status')).toMatchObject({ status: 'prelaunch', running: false });
    await client.close();
  });

  it('hears RESUME and STOP, and waits for them', async () => {
    const client = await QmpClient.connect(path, CONNECT);
    const heard: string[] = [];
    client.on('event', ({ event }) => heard.push(event));
    const resumed = client.waitForEvent('RESUME', { timeoutMs: 10_000 });
    expect(await client.execute('cont')).toEqual({});
    expect((await resumed).timestamp.seconds).toBeGreaterThan(1_600_000_000);
    const stopped = client.waitForEvent(({ event }) => event === 'STOP', { timeoutMs: 10_000 });
    await client.execute('stop');
    await stopped;
    expect(heard).toEqual(['RESUME', 'STOP']);
    await client.close();
  });

  it('gives a refusal with its class and sentence', async () => {
    const client = await QmpClient.connect(path, CONNECT);
    const refused = client.execute('nope');
    await expect(refused).rejects.toThrow(new QmpError('CommandNotFound', 'The command nope has not been found'));
    await expect(refused).rejects.toMatchObject({ class: 'CommandNotFound', code: 'QMP_ERROR' });
    await client.close();
  });

  it('runs out of band what was negotiated', async () => {
    const client = await QmpClient.connect(path, { ...CONNECT, oob: true });
    expect(await client.execute('query-yank', undefined, { oob: true })).toBeInstanceOf(Array);
    await expect(client.execute('query-name', undefined, { oob: true })).rejects.toThrow('does not support OOB');
    await client.close();
  });

  it('reads the longest answer that QEMU has', async () => {
    const client = await QmpClient.connect(path, CONNECT);
    expect((await client.execute('query-qmp-schema')) as unknown[]).toSatisfy((list: unknown[]) => list.length > 500);
    await client.close();
  });

  it.each(inputsBeforeNegotiation())('before the negotiation answers %j as QEMU does', async (input) => {
    expect(sorted(await askOurs('', input))).toEqual(sorted(await askQemu('', input)));
  });

  it.each(inputs())('answers %j as QEMU does', async (input) => {
    expect(await askOurs(NEGOTIATE, input)).toEqual(await askQemu(NEGOTIATE, input));
  });

  it.each(inputsWithOob())('with out-of-band enabled answers %j as QEMU does', async (input) => {
    expect(sorted(await askOurs(NEGOTIATE_OOB, input))).toEqual(sorted(await askQemu(NEGOTIATE_OOB, input)));
  });

  it('answers seeded random token soup as QEMU does', async () => {
    const random = seeded(20_250_101);
    for (let round = 0; round < 300; round++) {
      const input = tokenSoup(random);
      expect(await askOurs(NEGOTIATE, input), `round ${round}: ${JSON.stringify(input)}`).toEqual(
        await askQemu(NEGOTIATE, input),
      );
    }
  });
});

/** Bytes are written as U+0000 to U+00FF. */
const bytesOf = (input: string): Buffer =>
  Buffer.concat([Buffer.from(input, 'latin1'), FORCE_RESTART, LAST, Buffer.from('\n')]);

const isLast = (message: JsonValue): boolean => (message as { id?: JsonValue } | null)?.id === 'the last one';

/** Where `exec-oob` takes part, replies may overtake one another. */
const sorted = (messages: JsonValue[]): string[] => messages.map((message) => JSON.stringify(message)).sort();

/** All replies to an input on a fresh connection, up to the one to the last request. */
async function askQemu(negotiation: string, input: string): Promise<JsonValue[]> {
  const socket = net.connect(path);
  const reader = new JsonReader(REPLY_LIMITS);
  const messages: JsonValue[] = [];
  const done = Promise.withResolvers<void>();
  socket.on('data', (bytes: Buffer) => {
    for (const result of reader.push(bytes)) {
      if (!result.ok) return done.reject(new Error(result.sentence));
      messages.push(plainJson(result.value));
    }
    if (messages.some(isLast)) done.resolve();
  });
  socket.on('error', done.reject);
  socket.write(Buffer.concat([Buffer.from(negotiation), bytesOf(input)]));
  await done.promise;
  socket.destroy();
  await once(socket, 'close');
  return withoutGreeting(messages, negotiation);
}

async function askOurs(negotiation: string, input: string): Promise<JsonValue[]> {
  const reader = new JsonReader(REPLY_LIMITS);
  const messages: JsonValue[] = [];
  const session = new QmpSession({
    version: { qemu: { major: 8, minor: 2, micro: 0 }, package: 'godwit' },
    commands: commands(),
    send: (line) => {
      for (const result of reader.push(Buffer.from(line))) if (result.ok) messages.push(plainJson(result.value));
    },
  });
  session.open();
  session.receive(Buffer.concat([Buffer.from(negotiation), bytesOf(input)]));
  await session.idle();
  return withoutGreeting(messages, negotiation);
}

function withoutGreeting(messages: JsonValue[], negotiation: string): JsonValue[] {
  return messages.slice(negotiation === '' ? 1 : 2);
}

/** Just enough of a machine to answer the inputs below. */
function commands(): CommandTable {
  const none = object({});
  return {
    'query-name': defineCommand({ arguments: none, handler: () => undefined }),
    'query-yank': defineCommand({
      arguments: none,
      oob: true,
      handler: () => [{ type: 'chardev', id: 'compat_monitor0' }],
    }),
    'migrate-set-capabilities': defineCommand({
      arguments: setCapabilitiesArguments,
      handler: ({ capabilities }) => {
        const outcome = applyCapabilities(capabilities, { current: DEFAULT_CAPABILITIES, incoming: 'none' });
        if (!outcome.ok) throw new QmpError('GenericError', outcome.sentence);
        return undefined;
      },
    }),
    'migrate-set-parameters': defineCommand({
      arguments: setParametersArguments,
      handler: (change) => {
        const outcome = applyParameters(DEFAULT_PARAMETERS, change);
        if (!outcome.ok) throw new QmpError('GenericError', outcome.sentence);
        return undefined;
      },
    }),
  };
}

function inputsBeforeNegotiation(): string[] {
  return [
    `{}`,
    `5 `,
    `[]`,
    `nope `,
    `{'execute':5}`,
    `{'execute':'nope','id':{'a':[1]}}`,
    `{'execute':'query-name','arguments':5}`,
    `{'execute':'query-name','foo':5}`,
    `{'exec-oob':'query-yank','id':1}`,
    `{'exec-oob':'qmp_capabilities'}`,
    `{'execute':'qmp_capabilities','arguments':{'enable':5}}`,
    `{'execute':'qmp_capabilities','arguments':{'enable':[5]}}`,
    `{'execute':'qmp_capabilities','arguments':{'enable':['nope']}}`,
    `{'execute':'qmp_capabilities','arguments':{'x':5}}`,
    `{'execute':'qmp_capabilities','arguments':{'enable':[]},'id':null}`,
    `{'execute':'qmp_capabilities','arguments':{'enable':['oob','oob']}}`,
  ];
}

function inputsWithOob(): string[] {
  return [
    `{'exec-oob':'query-yank','id':1}`,
    `{'exec-oob':5}`,
    `{'execute':'query-name','exec-oob':'query-yank','id':3}`,
    `{'exec-oob':'query-name','id':3}`,
    `{'exec-oob':'nope','id':3}`,
    `{'exec-oob':'query-yank','arguments':{'x':1}}`,
    `{'exec-oob':'query-yank','arguments':5}`,
    `{'exec-oob':'query-yank','control':5}`,
    `{'exec-oob':'qmp_capabilities'}`,
  ];
}

function inputs(): string[] {
  const set = (parameters: string): string => `{'execute':'migrate-set-parameters','arguments':${parameters}}`;
  const capabilities = (list: string): string =>
    `{'execute':'migrate-set-capabilities','arguments':{'capabilities':${list}}}`;
  const named = (id: string): string => `{'execute':'query-name','id':${id}}`;
  const malformed =
    `nope|{'a' 1}|{'a':1 'b':2}|]|}|{]|[1,2}|[|[1,]|{,}|{'a':}|{'a':1,}|{1:2}|c|@|#|%d|%|'abc|01|-01|--1|1.|-|-a|1e|1e+` +
    `|1e5|1.5|+1|.5|1x|12ab|nope1|tRue|A|tru|true|null|{'execute':}|{'execute' 'stop'}|{'execute':'x',,}` +
    `|{'execute':'nope'}}|{'execute':'nope'}]|[[[|{'execute':'x' ]|,|:|{:}|{'a':1:2}|[1 2]|[,]|{'a'}|{'a',1}|()` +
    `|{'execute':'query-name','execute':'x'}|{'a':1,'a':nope}|{}|[]|5|'x'|{'execute':5}|{'execute':null}` +
    `|{'a': nope, 'b': [}]}|{'a': $ }|$ {'execute':'query-name'}|nope {'execute':'query-name'}|[tru 5|[tru, 5]|[1,@]{}` +
    `|/* c */ {'execute':'query-name'}|// c|@a{'execute':'query-name'}|@'x',{'execute':'query-name'}|1e5.|1.5.5` +
    `|{'execute':'query-name','arguments':5}|{'execute':'query-name','arguments':null}|{'arguments':5}|{'id':7}` +
    `|{'execute':'query-name','foo':5}|{'execute':'query-name','exec-oob':'x'}|{'exec-oob':5}|{'execute':'','id':4}` +
    `|{'execute':'query-name','arguments':{'x':1}}|{'execute':'nope','arguments':5}|{'id':7,'x':3}|{'':1}`;
  return [
    ...malformed.split('|'),
    `@ 'x' \n'y'`,
    `'a\nb'`,
    `'\\q'`,
    `'\\u12'`,
    `'\\u'`,
    `'\\u00g1'`,
    `'\\ud800'`,
    `'\\ude00\\ud83d'`,
    `'\\ud83dx'`,
    `'\\ud83d\\u0041'`,
    `'\\ud83f\\udfff'`,
    `'\\ufdd0'`,
    `'\\u0000'`,
    `'\\`,
    `'\x01'`,
    `'\x00'`,
    `ab\x00`,
    `"\xff"`,
    `\xff`,
    `\x80`,
    `\x7f`,
    `\x0b{'execute':'query-name'}`,
    `\xef\xbb\xbf{'execute':'query-name'}`,
    `'\xc3'`,
    `'\x80'`,
    `'\xc1\x80'`,
    `'\xe0\x80\x80'`,
    `'\xed\xa0\x80'`,
    `'\xef\xbf\xbf'`,
    `{'execute':\xff'stop'}`,
    `{'execute':'query-name', \x00 'id':5}`,
    `{'execute':'nope\\n'}`,
    `{'execute':'\\u00e9'}`,
    named(`18446744073709551615`),
    named(`18446744073709551616`),
    named(`-9223372036854775808`),
    named(`-9223372036854775809`),
    named(`1.0`),
    named(`0.1`),
    named(`1e20`),
    named(`-0`),
    named(`'\\u00e9\\ud83d\\ude00 \\/\\b\\f\\n\\r\\t\\'\\"\\\\ \x7f'`),
    named(`'\xc3\xa9\xf0\x9f\x98\x80'`),
    named(`'\xc0\x80'`),
    named(`{'b':1,'a':[null,true,{}]}`),
    `{'execute':'qmp_capabilities'}`,
    `{'execute':'qmp_capabilities','arguments':{'enable':['nope']}}`,
    capabilities(`5`),
    capabilities(`[5]`),
    capabilities(`[{'capability':'events','state':5}]`),
    capabilities(`[{'capability':'nope','state':true}]`),
    capabilities(`[{'capability':'events'}]`),
    capabilities(`[{'capability':'events','state':true,'z':1}]`),
    capabilities(`[{'capability':5,'state':true}]`),
    capabilities(`[{'capability':'postcopy-preempt','state':true}]`),
    capabilities(`[{'capability':'zero-copy-send','state':true}]`),
    capabilities(`[{'capability':'postcopy-ram','state':true},{'capability':'x-ignore-shared','state':true}]`),
    capabilities(`[{'capability':'multifd','state':true},{'capability':'compress','state':true}]`),
    capabilities(`[]`),
    `{'execute':'migrate-set-capabilities'}`,
    set(`{'max-bandwidth':1.5}`),
    set(`{'max-bandwidth':'5'}`),
    set(`{'max-bandwidth':18446744073709551616}`),
    set(`{'downtime-limit':-1}`),
    set(`{'downtime-limit':1.5}`),
    set(`{'downtime-limit':2000001}`),
    set(`{'downtime-limit':18446744073709551615}`),
    set(`{'multifd-channels':256}`),
    set(`{'multifd-channels':0}`),
    set(`{'multifd-channels':-1}`),
    set(`{'multifd-channels':1.0}`),
    set(`{'multifd-channels':null}`),
    set(`{'x-checkpoint-delay':4294967296}`),
    set(`{'x-checkpoint-delay':-1}`),
    set(`{'tls-creds':5}`),
    set(`{'tls-hostname':null}`),
    set(`{'multifd-compression':'x'}`),
    set(`{'multifd-compression':5}`),
    set(`{'block-incremental':5}`),
    set(`{'block-bitmap-mapping':5}`),
    set(`{'block-bitmap-mapping':[{'node-name':5}]}`),
    set(`{'block-bitmap-mapping':[{'node-name':'a','alias':'b','bitmaps':[{'name':'x'}]}]}`),
    set(`{'xbzrle-cache-size':1000}`),
    set(`{'max-cpu-throttle':10}`),
    set(`{'max-cpu-throttle':100}`),
    set(`{'cpu-throttle-initial':0}`),
    set(`{'cpu-throttle-increment':100}`),
    set(`{'throttle-trigger-threshold':0}`),
    set(`{'announce-step':0}`),
    set(`{'announce-rounds':1001}`),
    set(`{'announce-max':100001,'announce-initial':100001,'cpu-throttle-initial':0}`),
    set(`{'compress-level':10}`),
    set(`{'compress-threads':0}`),
    set(`{'decompress-threads':0}`),
    set(`{'nope':1}`),
    set(`{}`),
  ];
}

const SOUP = [
  ...`{ } [ ] : , 'a' "b" 'execute' 'query-name' 'id' 'arguments' 1 -1 0 0.5 1.0 true false null nope @ ' " \\ - \n`.split(
    ' ',
  ),
  `{'execute':'query-name','id':1}`,
  `{'execute':`,
  // With a separator: digits after it would make a number beyond a double, which QEMU answers with an invalid "inf".
  `1e3,`,
  `\t`,
  ` `,
  `\x00`,
  `\xff`,
  `\xc3\xa9`,
];

function tokenSoup(random: Random): string {
  return Array.from({ length: 1 + random(12) }, () => SOUP[random(SOUP.length)] ?? '').join('');
}
