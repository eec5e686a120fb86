// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { object } from '../../../src-main/control/arguments.ts';
import { QmpClient } from '../../../src-main/control/client.ts';
import { defineCommand, type CommandTable } from '../../../src-main/control/command.ts';
import { NodeListener, type Listener } from '../../../src-main/control/listener.ts';
import {
  MAX_QUEUED_BYTES,
  MAX_WAITING_CLIENTS,
  QmpServer,
  type QmpServerError,
} from '../../../src-main/control/server.ts';
import { MonitorListener } from '../../../src-main/machine/host/monitor-listener.ts';

/** How a server is reached: what a machine's monitors use, and what needs no addon. */
const listeners = [
  { kind: 'the addon', make: (): Listener => new MonitorListener() },
  { kind: 'node:net', make: (): Listener => new NodeListener() },
];
let makeListener: () => Listener;

let directory: string;
let path: string;
let servers: QmpServer[];
let errors: QmpServerError[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'godwit-server-'));
  path = join(directory, 'qmp');
  servers = [];
  errors = [];
});

afterEach(async () => {
  for (const server of servers) await server.close();
  rmSync(directory, { recursive: true });
});

const hello = defineCommand({ arguments: object({}), handler: () => 'hello' });

async function serve(commands: CommandTable = { hello }, at = path): Promise<QmpServer> {
  const server = new QmpServer({
    path: at,
    version: { package: 'godwit-0.0.0' },
    commands,
    onError: (error) => errors.push(error),
    listener: makeListener(),
  });
  await server.listen();
  servers.push(server);
  return server;
}

const connect = (): Promise<QmpClient> => QmpClient.connect(path, { timeoutMs: 5000 });

/** All that the peer sends until it closes. */
async function drain(socket: net.Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => (text += chunk));
  await once(socket, 'close');
  return text;
}

/** A socket file that nobody listens on, as a killed process leaves it. */
function leaveStaleSocket(): void {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  expect(lstatSync(path).isSocket()).toBe(true);
}

describe.each(listeners)('the socket of a QMP server on $kind', ({ make }) => {
  beforeEach(() => (makeListener = make));

  it('is open to its owner alone, whatever the umask', async () => {
    const mask = process.umask(0);
    try {
      await serve();
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(process.umask(0)).toBe(0);
    } finally {
      process.umask(mask);
    }
  });

  it('is removed on close', async () => {
    const server = await serve();
    await server.close();
    expect(existsSync(path)).toBe(false);
    await server.close();
  });

  it('replaces one that a dead process left', async () => {
    leaveStaleSocket();
    await serve();
    expect(await (await connect()).execute('hello')).toBe('hello');
  });

  it('is refused where somebody listens, who is not disturbed', async () => {
    await serve();
    await expect(serve()).rejects.toThrow(`Another process is listening on ${path}: stop it or use another path`);
    expect(await (await connect()).execute('hello')).toBe('hello');
  });

  it('is refused where another kind of file is', async () => {
    writeFileSync(path, 'precious');
    await expect(serve()).rejects.toThrow(`${path} exists and is not a socket: remove it or use another path`);
    expect(statSync(path).size).toBe(8);
  });

  it.each([
    ['no/such/directory', 'its directory does not exist', 'ENOENT'],
    ['x'.repeat(120), 'is longer than 107 bytes', 'ENAMETOOLONG'],
  ])('is refused with a sentence at %s', async (name, sentence, code) => {
    const refused = serve({}, join(directory, name));
    await expect(refused).rejects.toThrow(sentence);
    await expect(refused).rejects.toMatchObject({ code });
  });
});

describe.each(listeners)('a QMP server on $kind', ({ make }) => {
  beforeEach(() => (makeListener = make));

  it('answers in order however the bytes arrive', async () => {
    await serve();
    const socket = net.connect(path);
    const all = drain(socket);
    const text = `{'execute':'qmp_capabilities'}\n{'execute':'hello','id':1}{'execute':'nope','id':2} oops`;
    for (const byte of Buffer.from(text)) socket.write(Uint8Array.of(byte));
    socket.end();
    expect((await all).split('\r\n').slice(1)).toEqual([
      '{"return": {}}',
      '{"return": "hello", "id": 1}',
      '{"id": 2, "error": {"class": "CommandNotFound", "desc": "The command nope has not been found"}}',
      `{"error": {"class": "GenericError", "desc": "JSON parse error, invalid keyword 'oops'"}}`,
      '',
    ]);
  });

  it('serves one client at a time: the next is greeted when the first leaves, and negotiates afresh', async () => {
    await serve();
    const first = await connect();
    let greeted = false;
    const second = connect().then((client) => {
      greeted = true;
      return client;
    });
    for (let i = 0; i < 20; i++) expect(await first.execute('hello')).toBe('hello');
    expect(greeted).toBe(false);
    await first.close();
    expect(await (await second).execute('hello')).toBe('hello');
  });

  it('turns away clients beyond a full waiting room', async () => {
    await serve();
    const first = await connect();
    const waiting = Array.from({ length: MAX_WAITING_CLIENTS }, () => net.connect(path));
    await Promise.all(waiting.map((socket) => once(socket, 'connect')));
    const extra = net.connect(path);
    expect(await drain(extra)).toBe('');
    expect(errors.map(({ code }) => code)).toEqual(['TOO_MANY_CLIENTS']);
    expect(await first.execute('hello')).toBe('hello');
    for (const socket of waiting) socket.destroy();
    await first.close();
    // Until the server has noticed that they all left, the room is full.
    let next: QmpClient | undefined;
    while (next === undefined) next = await connect().catch(() => undefined);
    expect(await next.execute('hello')).toBe('hello');
  });

  it('sends events to the client that has negotiated, and to nobody without complaint', async () => {
    const server = await serve();
    server.emit({ event: 'STOP' });
    const client = await connect();
    const heard = client.waitForEvent('MIGRATION', { timeoutMs: 5000 });
    server.emit({ event: 'MIGRATION', data: { status: 'setup' } });
    expect(await heard).toMatchObject({ data: { status: 'setup' } });
  });

  it('drops a client that reads nothing, says so, and serves the next', async () => {
    const server = await serve();
    const deaf = await connect();
    const socket = net.connect(path);
    await deaf.close();
    socket.write(`{'execute':'qmp_capabilities'}`);
    await once(socket, 'readable');
    const line = 'x'.repeat(1 << 20);
    // Half a turn of the loop for the negotiation to arrive; then more than may be queued.
    while (errors.length === 0) {
      server.emit({ event: 'NOISE', data: { line } });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(errors[0]).toMatchObject({ code: 'SLOW_CLIENT' });
    expect(errors[0]?.message).toContain(`${MAX_QUEUED_BYTES >> 20} MiB`);
    socket.on('error', () => undefined);
    expect(await (await connect()).execute('hello')).toBe('hello');
    socket.destroy();
  });

  it('reads no further while a client leaves its replies unread, and answers all in the end', async () => {
    let ran = 0;
    const big = defineCommand({
      arguments: object({}),
      handler: () => {
        ran++;
        return 'x'.repeat(1 << 16);
      },
    });
    await serve({ big });
    const socket = net.connect(path);
    const requests = 2000;
    socket.write(`{'execute':'qmp_capabilities'}\n${`{'execute':'big'}${' '.repeat(500)}\n`.repeat(requests)}`);
    await once(socket, 'readable');
    for (let before = -1; before !== ran;) {
      before = ran;
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(ran).toBeLessThan(requests);
    const all = drain(socket);
    socket.end();
    expect((await all).split('\r\n')).toHaveLength(requests + 3);
    expect(errors).toEqual([]);
  });

  it('delivers the last replies before it closes', async () => {
    const reached = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const server = await serve({
      quit: defineCommand({
        arguments: object({}),
        handler: async () => {
          reached.resolve();
          await gate.promise;
          return {};
        },
      }),
    });
    const client = await connect();
    const reply = client.execute('quit');
    await reached.promise;
    const closed = server.close();
    server.emit({ event: 'SHUTDOWN', data: { guest: false, reason: 'host-qmp-quit' } });
    gate.resolve();
    expect(await reply).toEqual({});
    await closed;
    await client.closed;
  });

  it('closes although a handler never ends, telling it so', async () => {
    const reached = Promise.withResolvers<AbortSignal>();
    const server = await serve({
      stuck: defineCommand({
        arguments: object({}),
        handler: (_args, { signal }) => {
          reached.resolve(signal);
          return new Promise<never>(() => undefined);
        },
      }),
    });
    const client = await connect();
    const reply = client.execute('stuck');
    const lost = expect(reply).rejects.toThrow(`The control connection to ${path} is lost`);
    const signal = await reached.promise;
    await server.close();
    await lost;
    expect(signal.aborted).toBe(true);
  });

  it('stops listening at once: a path that is free again can be taken by another', async () => {
    const one = make();
    await one.listen(path, (connection) => connection.destroy());
    await one.close();
    await one.close();
    await serve();
    expect(await (await connect()).execute('hello')).toBe('hello');
  });
});
