// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startStreamProxy } from '../../support/stream-proxy.ts';
import type { ProxyElement, StreamProxy, StreamProxyOptions } from '../../support/stream-proxy.ts';
import { MainStreamParser } from '../../support/stream-parser.ts';

const stream = readFileSync(new URL('../../fixtures/microvm/qemu7-kvm-base.mig', import.meta.url));
const PONG = Buffer.from('0002000400000001', 'hex');
const LOADED = Buffer.from('47010000', 'hex');
const SHUT = Buffer.from('0001000400000000', 'hex');
const answers = Buffer.concat([PONG, LOADED, SHUT]);

let folder = '';
let server: Server;
let proxy: StreamProxy | undefined;
/** What the destination received, complete when it saw the end. */
let received: Promise<Buffer>;
let destination: Promise<Socket>;

/** A destination that answers at once and keeps what it gets. */
function listen(at: Server): { received: Promise<Buffer>; destination: Promise<Socket> } {
  const seen = Promise.withResolvers<Buffer>();
  const connected = once(at, 'connection').then(([socket]: unknown[]) => {
    const connection = socket as Socket;
    const chunks: Buffer[] = [];
    const end = (): void => {
      seen.resolve(Buffer.concat(chunks));
    };
    connection.on('data', (chunk: Buffer) => chunks.push(chunk));
    connection.on('error', () => undefined);
    connection.on('close', end);
    connection.on('end', end);
    connection.write(answers);
    return connection;
  });
  return { received: seen.promise, destination: connected };
}

async function restart(): Promise<void> {
  folder = mkdtempSync(join(tmpdir(), 'gw-'));
  server = createServer({ allowHalfOpen: true });
  ({ received, destination } = listen(server));
  server.listen(join(folder, 'destination'));
  await once(server, 'listening');
}

beforeEach(restart);

afterEach(async () => {
  await proxy?.close();
  proxy = undefined;
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  readonly received: Buffer;
  /** What the source got back. */
  readonly answered: Buffer;
}

/** Sends the stream through a proxy and closes both ends when both have seen the end. */
async function run(options: Partial<StreamProxyOptions>, bytes = stream): Promise<Run> {
  proxy = await startStreamProxy({
    listen: `unix:${join(folder, 'proxy')}`,
    connect: `unix:${join(folder, 'destination')}`,
    ...options,
  });
  const target = /^tcp:(.*):(\d+)$/.exec(proxy.uri);
  const source = target
    ? connect({ host: target[1] ?? '', port: Number(target[2]), allowHalfOpen: true })
    : connect({ path: proxy.uri.slice('unix:'.length), allowHalfOpen: true });
  const chunks: Buffer[] = [];
  source.on('data', (chunk: Buffer) => chunks.push(chunk));
  source.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => {
    source.once('end', resolve);
    source.once('close', () => {
      resolve();
    });
  });
  source.end(bytes);
  const everything = await received;
  (await destination).end();
  await ended;
  source.destroy();
  return { received: everything, answered: Buffer.concat(chunks) };
}

const startOf = (element: string): number => {
  const unit = new MainStreamParser().push(stream).units.find((candidate) => candidate.element === element);
  if (!unit) throw new Error(`no ${element}`);
  return unit.start;
};

describe('a stream proxy', () => {
  test.each(['unix', 'tcp'])('over %s passes both directions unchanged and counts them', async (kind) => {
    const elements: ProxyElement[] = [];
    const result = await run({
      ...(kind === 'tcp' && { listen: 'tcp:127.0.0.1:0' }),
      onElement: (element) => void elements.push({ ...element, payload: Buffer.from(element.payload) }),
    });
    expect(result.received.equals(stream)).toBe(true);
    expect(result.answered).toEqual(answers);
    const [connection] = proxy?.connections ?? [];
    await connection?.closed;
    expect(connection?.bytes).toEqual({ forward: stream.length, backward: answers.length });
    const names = (direction: string) => elements.filter((one) => one.direction === direction).map((one) => one.name);
    expect(names('backward')).toEqual(['rp:PONG', 'rp:LOADED', 'rp:SHUT']);
    expect(names('forward').slice(0, 5)).toEqual(['header', 'configuration', 'ram:START', 'ram:PART', 'ram:END']);
    expect(names('forward').slice(-4)).toEqual(['section:serial/0', 'section:globalstate/0', 'eof', 'vmdesc']);
    expect(elements.find((one) => one.name === 'rp:PONG')?.payload).toEqual(PONG.subarray(4));
    expect(connection).toMatchObject({ cut: false, parseError: undefined });
  });

  test('cuts before an element, so that the other end has all before it and nothing of it', async () => {
    for (const element of ['header', 'ram:PART', 'section:cpu/0', 'eof', 'vmdesc']) {
      const passed = await runAgain({ cutAt: { element } });
      expect(passed.received.equals(stream.subarray(0, startOf(element))), element).toBe(true);
    }
  });

  test('cuts after an element, a RAM section with all its records', async () => {
    const after = { 'ram:PART': startOf('ram:END'), 'section:cpu/0': startOf('section:kvm-tpr-opt/0') };
    for (const [element, length] of Object.entries(after)) {
      const passed = await runAgain({ cutAt: { element, edge: 'after' } });
      expect(passed.received.equals(stream.subarray(0, length)), element).toBe(true);
    }
  });

  test('cuts at any byte of either direction', async () => {
    for (const byte of [0, 1, 8, 100, 5000, stream.length - 1]) {
      const passed = await runAgain({ cutAt: { byte, direction: 'forward' } });
      expect(passed.received.equals(stream.subarray(0, byte)), String(byte)).toBe(true);
    }
    for (const byte of [0, 3, 8, 13]) {
      const passed = await runAgain({ cutAt: { byte, direction: 'backward' } });
      expect(passed.answered, String(byte)).toEqual(answers.subarray(0, byte));
    }
  });

  test('cuts at an element of the return path', async () => {
    const passed = await runAgain({ cutAt: { element: 'rp:LOADED' } });
    expect(passed.answered).toEqual(PONG);
  });

  test('can stall the link instead: nothing passes and nobody is told', async () => {
    const stalled = Promise.withResolvers<void>();
    proxy = await startStreamProxy({
      listen: `unix:${join(folder, 'proxy')}`,
      connect: `unix:${join(folder, 'destination')}`,
      cutAt: { element: 'section:cpu/0', effect: 'stall' },
      onElement: ({ name }) => {
        if (name === 'section:cpu/0') stalled.resolve();
      },
    });
    const source = connect({ path: join(folder, 'proxy') });
    source.on('error', () => undefined);
    source.write(stream);
    await stalled.promise;
    await new Promise(setImmediate);
    expect(proxy.connections[0]?.cut).toBe(true);
    expect([source.destroyed, (await destination).destroyed]).toEqual([false, false]);
    await proxy.close();
    source.destroy();
    expect((await received).length).toBeLessThanOrEqual(startOf('section:cpu/0'));
  });

  test('holds an element back until the promise of onElement, with all before it delivered', async () => {
    let before = -1;
    const held = await run({
      onElement: async ({ name }) => {
        if (name !== 'section:cpu/0') return;
        const connection = await destination;
        // All that was written before can be read now: wait for it, then look whether more comes.
        while (connection.bytesRead < startOf('section:cpu/0')) await new Promise(setImmediate);
        before = connection.bytesRead;
      },
    });
    expect(before).toBe(startOf('section:cpu/0'));
    expect(held.received.equals(stream)).toBe(true);
  });

  test('passes what it cannot parse, and says so', async () => {
    const bytes = Buffer.from('this is no migration stream, and it is passed all the same');
    const result = await run({}, bytes);
    expect(result.received.equals(bytes)).toBe(true);
    expect(proxy?.connections[0]?.parseError?.message).toContain('not a stream of version 3');
  });

  async function runAgain(options: Partial<StreamProxyOptions>): Promise<Run> {
    await proxy?.close();
    server.close();
    rmSync(folder, { recursive: true, force: true });
    await restart();
    return run(options);
  }
});

describe('a transform', () => {
  const pagesOf = (bytes: Buffer) => {
    const { buffer, units } = new MainStreamParser().push(bytes);
    return units.flatMap((unit) =>
      unit.page === undefined ? [] : [{ ...unit.page, body: buffer.subarray(unit.bodyStart, unit.end) }],
    );
  };
  const place = (page: { block: string; offset: number }): string => `${page.block}+${String(page.offset)}`;

  test('drops every record of a page, also where the next record leaned on its name', async () => {
    const dropped = 'microvm.ram+0'; // the first record of its block: the only one with the name
    const result = await run({
      transform: { ramPage: (page) => (place(page) === dropped ? 'drop' : undefined) },
    });
    const [before, after] = [pagesOf(stream), pagesOf(result.received)];
    expect(after.map(place)).toEqual(before.map(place).filter((one) => one !== dropped));
    expect(after[0]).toMatchObject({ block: 'microvm.ram', named: true });
    expect(new MainStreamParser().push(result.received).units.at(-1)?.element).toBe('vmdesc');
  });

  test('replaces the content of a page, zero or not', async () => {
    const content = Buffer.alloc(4096, 0x5a);
    const chosen = new Set(['microvm.ram+8192', 'pc.bios+61440']);
    const result = await run({ transform: { ramPage: (page) => (chosen.has(place(page)) ? content : undefined) } });
    const [before, after] = [pagesOf(stream), pagesOf(result.received)];
    expect(after.map(place)).toEqual(before.map(place));
    for (const [index, page] of after.entries()) {
      if (chosen.has(place(page))) expect(page).toMatchObject({ kind: 'page', body: content });
      else expect(page).toEqual(before[index]);
    }
  });

  test('overwrites bytes of one section and nothing else', async () => {
    const bytes = Buffer.from('deadbeef', 'hex');
    const result = await run({ transform: { overwrite: [{ section: 'cpu/0', offset: 556, bytes }] } });
    const expected = Buffer.from(stream);
    bytes.copy(expected, 9154 + 556);
    expect(result.received.equals(expected)).toBe(true);
  });
});
