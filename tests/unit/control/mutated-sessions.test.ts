// SPDX-License-Identifier: Apache-2.0
/** Sessions of QMP whose bytes were changed, in both directions, over real sockets. GODWIT_SEED repeats a run. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { object } from '../../../src-main/control/arguments.ts';
import { QmpClient, QmpConnectionError } from '../../../src-main/control/client.ts';
import { defineCommand } from '../../../src-main/control/command.ts';
import { QmpServer } from '../../../src-main/control/server.ts';
import { chunksOf, seeded, type Random } from './random.ts';

const seed = Number(process.env['GODWIT_SEED'] ?? Date.now() % 1_000_000);
const mutations = 2000;
/** Beyond what a session may hold: a message of 1 MiB on its way in and answers on their way out. */
const growthLimitBytes = 90 * 1024 ** 2;

const fromClient = Buffer.from(
  [
    '{"execute":"qmp_capabilities","arguments":{"enable":["oob"]},"id":1}',
    '{"execute":"hello","id":{"a":[1,2,{"b":null}]}}',
    "{'execute':'hello','id':'single'}",
    '{"execute":"query-version"} {"execute":"hello","arguments":{}}',
    '{"exec-oob":"hello","id":18446744073709551615}',
    '{"execute":"no-such-command","arguments":{"x":"\\u00e9\\ud83d\\ude00"}}\n',
  ].join('\n'),
);
const fromServer = Buffer.from(
  [
    '{"QMP":{"version":{"qemu":{"micro":0,"minor":2,"major":8},"package":""},"capabilities":["oob"]}}',
    '{"return":{},"id":1}',
    '{"return":{"status":"running","running":true},"id":2}',
    '{"timestamp":{"seconds":1,"microseconds":2},"event":"STOP"}',
    '{"error":{"class":"GenericError","desc":"no"},"id":3}\r\n',
  ].join('\r\n'),
);

/** One to four changes: flipped bits, other bytes, cuts, repetitions, moved pieces, nesting. */
function mutated(bytes: Buffer, random: Random): Buffer {
  let now: Buffer = Buffer.from(bytes);
  for (let left = 1 + random(4); left > 0; left -= 1) now = change(now, random);
  return now;
}

function change(bytes: Buffer, random: Random): Buffer {
  const at = random(bytes.length + 1);
  const length = random(Math.min(40, bytes.length - at + 1));
  const piece = bytes.subarray(at, at + length);
  const insert = (what: Buffer): Buffer => Buffer.concat([bytes.subarray(0, at), what, bytes.subarray(at)]);
  switch (random(8)) {
    case 0: {
      const flipped = Buffer.from(bytes);
      if (at < flipped.length) flipped[at] = (flipped[at] ?? 0) ^ (1 << random(8));
      return flipped;
    }
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 2:
      return insert(piece);
    case 3:
      return bytes.subarray(0, at);
    case 4:
      return insert(Buffer.from(Array.from({ length: 1 + random(20) }, () => random(256))));
    case 5:
      return insert(
        Buffer.from(['{', '[', '"', '}', ']', ',', ':', '\\', '\u0000'][random(9)]?.repeat(1 + random(200)) ?? ''),
      );
    case 6:
      return insert(Buffer.from(`${'9'.repeat(1 + random(400))}${random(2) === 0 ? '' : 'e999'}`));
    default:
      return Buffer.concat([bytes, bytes.subarray(0, at)]);
  }
}

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-qmp-mutated-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Sends the bytes in pieces and closes its half; answers all that came back until the other half was closed. */
async function exchange(path: string, bytes: Buffer, random: Random): Promise<string> {
  const socket = net.connect(path);
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => undefined); // a server that closed first
  await once(socket, 'connect');
  for (const chunk of chunksOf(bytes, (below) => random(below * 16))) socket.write(chunk);
  socket.end();
  await once(socket, 'close');
  return text;
}

describe(`sessions with changed bytes (GODWIT_SEED=${seed})`, () => {
  it(`leave a server answering in whole JSON lines, and serving the next client: ${mutations} clients`, async () => {
    const random = seeded(seed);
    const hello = defineCommand({ arguments: object({}), handler: () => 'hello' });
    const failures: unknown[] = [];
    const path = join(folder, 'server.sock');
    const server = new QmpServer({
      path,
      version: { package: 'godwit-0.0.0' },
      commands: { hello },
      onError: (error) => failures.push(error),
    });
    await server.listen();
    const before = process.memoryUsage().rss;
    let answers = 0;
    for (let index = 0; index < mutations; index += 1) {
      const bytes = mutated(fromClient, random);
      const lines = (await exchange(path, bytes, random)).split('\r\n');
      expect(lines.pop(), `mutation ${index}: a line without its end`).toBe('');
      for (const line of lines) {
        const reply = JSON.parse(line) as Record<string, unknown>;
        const kind = Object.keys(reply).find((key) => ['QMP', 'return', 'error', 'event'].includes(key));
        expect(kind, `mutation ${index}: ${line}`).toBeDefined();
      }
      answers += lines.length;
    }
    expect(answers).toBeGreaterThan(2 * mutations);
    const client = await QmpClient.connect(path, { timeoutMs: 5000 });
    expect(await client.execute('hello')).toBe('hello');
    await client.close();
    await server.close();
    expect(failures).toEqual([]);
    expect(process.memoryUsage().rss - before).toBeLessThan(growthLimitBytes);
  }, 60_000);

  it('end a client with an answer or one connection error', async () => {
    const random = seeded(seed + 1);
    const path = join(folder, 'hostile.sock');
    let next: Buffer = Buffer.alloc(0);
    // The first line at once, one for the first request, and all that is left for the second. A client that does not
    // know the answer for one waits: it hears the rest soon, and the end.
    const server = net.createServer((socket) => {
      const lines = next.toString('latin1').split(/(?<=\n)/);
      const sayTheRest = (): void => void socket.end(lines.splice(0).join(''), 'latin1');
      const timer = setTimeout(sayTheRest, 30);
      socket.on('error', () => undefined).on('close', () => clearTimeout(timer));
      socket.write(lines.shift() ?? '', 'latin1');
      socket.once('data', () => {
        socket.write(lines.shift() ?? '', 'latin1');
        socket.once('data', sayTheRest);
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(path, resolve);
    });
    const before = process.memoryUsage().rss;
    let answered = 0;
    for (let index = 0; index < mutations; index += 1) {
      next = mutated(fromServer, random);
      const outcome = await session(path).catch((error: unknown) => error);
      if (outcome === 'answered') answered += 1;
      else expect(outcome, `mutation ${index}: ${next.toString('latin1')}`).toSatisfy(isExpected);
    }
    server.close();
    // Servers that were all broken, or all whole, would test little.
    expect(answered).toBeGreaterThan(mutations / 20);
    expect(answered).toBeLessThan(mutations);
    process.stdout.write(`seed ${seed}: ${answered} of ${mutations} changed servers were understood\n`);
    expect(process.memoryUsage().rss - before).toBeLessThan(growthLimitBytes);
  }, 60_000);
});

async function session(path: string): Promise<'answered'> {
  const client = await QmpClient.connect(path, { timeoutMs: 5000 });
  client.on('event', () => undefined);
  try {
    await client.execute('query-status', undefined, { timeoutMs: 5000 });
    return 'answered';
  } finally {
    await client.close();
  }
}

/** Not a time-out: the server has closed, and the client must have seen it. */
function isExpected(error: unknown): boolean {
  if (error instanceof QmpConnectionError) return error.code !== 'TIMEOUT' && !/[\r\n]/.test(error.message);
  return error instanceof Error && error.name === 'QmpError';
}
