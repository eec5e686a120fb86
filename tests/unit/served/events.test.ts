// SPDX-License-Identifier: Apache-2.0
/** Events to real WebSocket clients: complete, in order, and no more than a client takes. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect } from 'node:net';
import { open, request } from '../../support/served/raw-http.ts';
import {
  bound,
  EventsClient,
  openSession,
  startApp,
  type Session,
  type TestApp,
} from '../../support/served/served-app.ts';
import { serve } from '../../../src-main/shells/served/server.ts';

let test: TestApp;
let session: Session;
const clients: EventsClient[] = [];

beforeEach(async () => {
  test = await startApp({ limits: { slowClientMs: 300 } });
  session = await openSession(bound(test.app));
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.terminate();
  await test.close();
});

function follow(query?: string): EventsClient {
  const client = new EventsClient(test.app.origin, session, query);
  clients.push(client);
  return client;
}

const say = (text: string): void => test.manager.emit('notice', { level: 'info', text });
const reconnect = (after: number, epoch = test.manager.epoch): EventsClient =>
  follow(`?after=${String(after)}&epoch=${epoch}`);

describe('a client of the events', () => {
  it('is greeted, told of the gap and of earlier notices when it comes first, and then gets every event in order', async () => {
    say('before');
    const client = follow();
    await client.until(({ gap }) => gap === true);
    for (let index = 0; index < 50; index += 1) say(String(index));
    await client.until(({ seq }) => seq === 51);
    expect(client.frames[0]).toEqual({ hello: { epoch: test.manager.epoch, seq: 1 } });
    expect(client.seqs).toEqual(Array.from({ length: 51 }, (_, index) => index + 1));
  });

  it('gets exactly what it missed when it comes again', async () => {
    for (let index = 0; index < 10; index += 1) say(String(index));
    const client = reconnect(4);
    await client.until(({ seq }) => seq === 10);
    say('after');
    await client.until(({ seq }) => seq === 11);
    expect(client.seqs).toEqual([5, 6, 7, 8, 9, 10, 11]);
    expect(client.frames.some(({ gap }) => gap === true)).toBe(false);
  });

  it.each([
    ['of another life of the manager', () => reconnect(1, 'another')],
    ['from the future', () => reconnect(99)],
    ['that is none', () => reconnect(Number.NaN)],
    ['below zero', () => reconnect(-1)],
  ])('is told of a gap when it names an event %s', async (_what, come) => {
    say('one');
    await come().until(({ gap }) => gap === true);
  });

  it('is told of a gap when what it missed is not held any more', async () => {
    for (let index = 0; index < 6000; index += 1) say('x');
    await reconnect(1).until(({ gap }) => gap === true);
  });

  it('may say that it is there', async () => {
    const client = follow();
    await client.until(({ hello }) => hello !== undefined);
    client.socket.send('ping');
    say('still here');
    await client.until(({ name }) => name === 'notice');
  });

  it('is closed at a frame of more than 1 KiB', async () => {
    const client = follow();
    await client.until(({ hello }) => hello !== undefined);
    client.socket.send('x'.repeat(1025));
    expect(await client.closed).toBe(1009);
  });

  it('is closed at a binary frame', async () => {
    const client = follow();
    await client.until(({ hello }) => hello !== undefined);
    client.socket.send(Buffer.from([1]));
    expect(await client.closed).toBe(1003);
  });

  it('that stops reading is closed to come again, and holds nobody else up', async () => {
    const slow = follow();
    const other = follow();
    await Promise.all([slow, other].map((client) => client.until(({ gap }) => gap === true)));
    slow.socket.pause();
    const text = 'x'.repeat(100_000);
    for (let index = 1; index <= 200; index += 1) {
      say(text);
      await other.until(({ seq }) => seq === index);
    }
    expect(other.seqs).toHaveLength(200);
    slow.socket.resume();
    expect([4408, 1006]).toContain(await slow.closed);
    const seen = slow.seqs.at(-1) ?? 0;
    expect(slow.seqs).toEqual(Array.from({ length: seen }, (_, index) => index + 1));
    expect(seen).toBeLessThan(200);
    // 20 MB that it missed: it asks anew for what it shows, and would not be sent more than it took before.
    await reconnect(seen).until(({ gap }) => gap === true);
    const near = reconnect(190);
    await near.until(({ seq }) => seq === 200);
    expect(near.seqs[0]).toBe(191);
  });

  it('that is a little behind for too long is closed too', async () => {
    const slow = follow();
    await slow.until(({ gap }) => gap === true);
    slow.socket.pause();
    // What the kernel takes, and 1 MiB, and a little more: far from 8 MiB of backlog, and never drained.
    for (let index = 0; index < 80; index += 1) say('x'.repeat(100_000));
    setTimeout(() => slow.socket.resume(), 500);
    expect([4408, 1006]).toContain(await slow.closed);
  });
});

describe('before the manager is there', () => {
  it('a client that misbehaves does not end the process, and one that left is forgotten', async () => {
    const later = Promise.withResolvers<TestApp['manager']>();
    const app = await serve({ host: '127.0.0.1', port: 0, files: test.files, manager: later.promise });
    try {
      const own = await openSession(bound(app));
      const bad = new EventsClient(app.origin, own);
      const left = new EventsClient(app.origin, own);
      await Promise.all([bad, left].map(({ socket }) => new Promise((resolve) => socket.once('open', resolve))));
      bad.socket.send('x'.repeat(5000));
      left.socket.terminate();
      expect(await bad.closed).toBe(1009);
      await left.closed;
      const good = new EventsClient(app.origin, own);
      later.resolve(test.manager);
      await good.until(({ hello }) => hello !== undefined);
      good.socket.terminate();
    } finally {
      await app.close();
    }
  });
});

describe('the server', () => {
  it('closes with clients, half sent requests and refused upgrades still connected', async () => {
    await follow().until(({ hello }) => hello !== undefined);
    const half = await open(test.app.port);
    half.on('error', () => undefined).write('GET / HTTP/1.1\r\n');
    const refused = connect({ port: test.app.port, host: '127.0.0.1', allowHalfOpen: true });
    refused.on('error', () => undefined);
    refused.write(request('GET /api/events', { host: 'x', connection: 'Upgrade', upgrade: 'websocket' }));
    await new Promise((resolve) => refused.once('data', resolve));
    await test.app.close();
    half.destroy();
    refused.destroy();
  });
});
