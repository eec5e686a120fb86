// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { QmpClient, QmpConnectionError } from '../../../src-main/control/client.ts';
import { QmpError } from '../../../src-main/control/protocol.ts';

const GREETING = `{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 8}, "package": ""}, "capabilities": ["oob"]}}\r\n`;

let directory: string;
let path: string;
let server: net.Server | undefined;
let sockets: net.Socket[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'godwit-client-'));
  path = join(directory, 'qmp');
  server = undefined;
  sockets = [];
});

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server?.close();
  rmSync(directory, { recursive: true });
});

type Answer = (
  request: { execute?: string; 'exec-oob'?: string; id?: number },
  socket: net.Socket,
) => string | undefined;

/** A peer that greets and answers one request a line as the test says. */
function peer(answer: Answer, greeting = GREETING): void {
  server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.write(greeting);
    let text = '';
    socket.on('data', (chunk) => {
      const lines = (text + chunk.toString()).split('\r\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        const request = JSON.parse(line) as Parameters<Answer>[0];
        const reply =
          request.execute === 'qmp_capabilities' ? `{"return": {}, "id": ${request.id}}` : answer(request, socket);
        if (reply !== undefined) socket.write(`${reply}\r\n`);
      }
    });
  });
  server.listen(path);
}

const silent: Answer = () => undefined;

describe('connecting a QMP client', () => {
  it('negotiates, and tells the greeting', async () => {
    peer(silent);
    const client = await QmpClient.connect(path);
    expect(client.greeting.QMP.version.qemu).toEqual({ major: 8, minor: 2, micro: 0 });
    await client.close();
  });

  it('says where there is no socket, and where nobody listens', async () => {
    await expect(QmpClient.connect(path)).rejects.toThrow(`There is no socket at ${path}: is the machine running?`);
    await expect(QmpClient.connect(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('waits for a socket that is not there yet', async () => {
    const connecting = QmpClient.connect(path, { waitForSocketMs: 10_000 });
    setImmediate(() => peer(silent));
    await (await connecting).close();
  });

  it('gives up waiting for the socket on its signal', async () => {
    const controller = new AbortController();
    const connecting = QmpClient.connect(path, { waitForSocketMs: 60_000, signal: controller.signal });
    setImmediate(() => controller.abort(new Error('changed my mind')));
    await expect(connecting).rejects.toThrow();
  });

  it('gives up on a peer that does not greet', async () => {
    peer(silent, '');
    const connecting = QmpClient.connect(path, { timeoutMs: 30 });
    await expect(connecting).rejects.toThrow(`${path} has not sent the greeting within 30 ms`);
    await expect(connecting).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it.each([
    ['SSH-2.0-OpenSSH\r\n', 'does not speak QMP'],
    ['{"hello": 1}\r\n', 'does not greet as QMP'],
    ['[]\r\n', 'does not speak QMP'],
    [`"${'x'.repeat(100)}`.repeat(200_000), 'does not speak QMP'],
  ])('refuses a peer that says something else (%#)', async (greeting, sentence) => {
    peer(silent, greeting);
    const connecting = QmpClient.connect(path, { timeoutMs: 5000 });
    await expect(connecting).rejects.toThrow(sentence);
    await expect(connecting).rejects.toThrow(path);
  });
});

describe('a QMP client', () => {
  it('matches replies by id, in whatever order they come', async () => {
    const held: string[] = [];
    peer(({ id }, socket) => {
      held.push(`{"return": ${id}, "id": ${id}}`);
      if (held.length === 3) socket.write(`${held.toReversed().join('\r\n')}\r\n`);
      return undefined;
    });
    const client = await QmpClient.connect(path);
    const ids = await Promise.all(['a', 'b', 'c'].map((name) => client.execute(name)));
    expect(ids).toEqual([2, 3, 4]);
    await client.close();
  });

  it('gives 64-bit integers exactly and all others as numbers', async () => {
    peer(({ id }) => `{"return": {"a": 18446744073709551615, "b": 1.0, "c": 297.158}, "id": ${id}}`);
    const client = await QmpClient.connect(path);
    expect(await client.execute('x')).toEqual({ a: 2n ** 64n - 1n, b: 1, c: 297.158 });
    await client.close();
  });

  it('throws a refusal with class and sentence', async () => {
    peer(({ id }) => `{"id": ${id}, "error": {"class": "DeviceNotFound", "desc": "Instance not found"}}`);
    const client = await QmpClient.connect(path);
    const refused = await client.execute('yank').catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(QmpError);
    expect(refused).toMatchObject({
      class: 'DeviceNotFound',
      desc: 'Instance not found',
      message: 'Instance not found',
    });
    await client.close();
  });

  it('sends arguments with bigints, and out of band when asked', async () => {
    const requests: object[] = [];
    peer((request) => {
      requests.push(request);
      return `{"return": {}, "id": ${request.id}}`;
    });
    const client = await QmpClient.connect(path, { oob: true });
    await client.execute('migrate-set-parameters', { 'max-bandwidth': 2n ** 53n, mode: undefined });
    await client.execute('yank', { instances: [] }, { oob: true });
    expect(requests).toEqual([
      { execute: 'migrate-set-parameters', arguments: { 'max-bandwidth': 2 ** 53 }, id: 2 },
      { 'exec-oob': 'yank', arguments: { instances: [] }, id: 3 },
    ]);
    await client.close();
  });

  it('gives up on a reply by timeout and by signal, and ignores it when it comes late', async () => {
    const late: number[] = [];
    peer(({ execute, id }, socket) => {
      if (execute === 'slow') {
        late.push(id ?? 0);
        return undefined;
      }
      for (const lateId of late.splice(0)) socket.write(`{"return": "late", "id": ${lateId}}\r\n`);
      return `{"return": "prompt", "id": ${id}}`;
    });
    const client = await QmpClient.connect(path);
    await expect(client.execute('slow', undefined, { timeoutMs: 10 })).rejects.toThrow(
      `${path} has not sent the reply to slow within 10 ms`,
    );
    const controller = new AbortController();
    const given = client.execute('slow', undefined, { signal: controller.signal });
    controller.abort(new Error('changed my mind'));
    await expect(given).rejects.toThrow('changed my mind');
    await expect(client.execute('x', undefined, { signal: controller.signal })).rejects.toThrow('changed my mind');
    expect(await client.execute('prompt')).toBe('prompt');
    await client.close();
  });

  it('rejects all that waits when the connection is lost, naming the socket', async () => {
    peer(({ execute }, socket) => {
      if (execute === 'die') socket.destroy();
      return undefined;
    });
    const client = await QmpClient.connect(path);
    const waiting = [client.execute('one'), client.waitForEvent('STOP'), client.execute('die')];
    for (const result of await Promise.allSettled(waiting)) {
      expect(result).toMatchObject({ status: 'rejected', reason: expect.any(QmpConnectionError) as unknown });
      expect(String((result as PromiseRejectedResult).reason)).toContain(`The control connection to ${path} is lost`);
    }
    await client.closed;
    await expect(client.execute('two')).rejects.toThrow(path);
    await expect(client.waitForEvent('STOP')).rejects.toThrow(path);
  });

  it('closes although replies are owed', async () => {
    peer(silent);
    const client = await QmpClient.connect(path);
    const waiting = expect(client.execute('x')).rejects.toMatchObject({ code: 'CLOSED' });
    await client.close();
    await waiting;
    await client.close();
  });

  it('hands events to listeners until they leave, and finds the one that is waited for', async () => {
    const event = (name: string, data = ''): string =>
      `{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "${name}"${data === '' ? '' : `, "data": ${data}`}}`;
    peer(({ id }) =>
      [event('STOP'), event('MIGRATION', '{"status": "active"}'), `{"return": {}, "id": ${id}}`].join('\r\n'),
    );
    const client = await QmpClient.connect(path);
    const heard: string[] = [];
    const leave = client.on('event', ({ event: name, timestamp }) => heard.push(`${name} ${timestamp.microseconds}`));
    const active = client.waitForEvent(({ data }) => data?.['status'] === 'active', { timeoutMs: 5000 });
    await client.execute('x');
    expect(await active).toMatchObject({ event: 'MIGRATION' });
    leave();
    await client.execute('x');
    expect(heard).toEqual(['STOP 2', 'MIGRATION 2']);
    await expect(client.waitForEvent('NEVER', { timeoutMs: 10 })).rejects.toThrow('the event NEVER');
    await client.close();
  });
});
