// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  native,
  type Channel,
  type GuestMemory,
  type Listener,
  type RamSendResult,
  type SocketTarget,
} from '../../src-main/machine/native/index.ts';

const PAGE_BYTES = 4096;
const CANCEL_LIMIT_MS = 100;
const NO_LIMIT = { bytes: Infinity, milliseconds: Infinity };
const EOS = Buffer.from('0000000000000010', 'hex');

let directory: string;
const closers: (() => void)[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'godwit-channel-'));
});

afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
  rmSync(directory, { recursive: true });
});

function listen(target: SocketTarget): Listener {
  const listener = new native.Listener(target);
  closers.push(() => listener.close());
  return listener;
}

async function pairOver(target: SocketTarget): Promise<[Channel, Channel]> {
  const listener = listen(target);
  const accepting = listener.accept();
  const near = await native.connect(listener.address).promise;
  const far = await accepting.promise;
  closers.push(
    () => near.close(),
    () => far.close(),
  );
  return [near, far];
}

const unixPair = (): Promise<[Channel, Channel]> => pairOver({ type: 'unix', path: join(directory, 'socket') });

function makeMemory(name: string, pages: number): GuestMemory {
  const memory = new native.GuestMemory({ name, sizeBytes: pages * PAGE_BYTES });
  closers.push(() => memory.close());
  return memory;
}

function makeSaver(memory: GuestMemory): InstanceType<typeof native.RamSaver> {
  const saver = new native.RamSaver([{ name: memory.name, memory }]);
  closers.push(() => saver.close());
  return saver;
}

async function timed<T>(work: Promise<T>): Promise<number> {
  const start = performance.now();
  await work.catch(() => undefined);
  return performance.now() - start;
}

/** Lets the pending operation reach its native thread: a whole round trip on another channel has passed since. */
async function roundTrip([near, far]: [Channel, Channel]): Promise<void> {
  near.enqueue(Buffer.of(1));
  await far.read(1);
}

describe.each(['tcp', 'unix'] as const)('a channel over %s', (type) => {
  const pair = (): Promise<[Channel, Channel]> =>
    type === 'tcp' ? pairOver({ type, host: '127.0.0.1', port: 0 }) : unixPair();

  test('carries bytes both ways, counts them, and peeks without consuming', async () => {
    const [near, far] = await pair();
    const bytes = randomBytes(300_000);
    near.enqueue(bytes.subarray(0, 5));
    near.enqueue(bytes.subarray(5));
    expect(await far.peek(9)).toEqual(bytes.subarray(0, 9));
    expect(far.bytesRead).toBe(0);
    expect((await far.read(bytes.length)).equals(bytes)).toBe(true);
    await near.flush();
    expect([near.bytesWritten, near.bytesQueued, far.bytesRead]).toEqual([bytes.length, 0, bytes.length]);
    far.enqueue(Buffer.from('back'));
    expect((await near.read(4)).toString()).toBe('back');
  });

  test('tells the end of the stream, and where it came too early', async () => {
    const [near, far] = await pair();
    near.enqueue(Buffer.from('ab'));
    await near.flush();
    near.close();
    expect(await far.atEnd()).toBe(false);
    await expect(far.read(3)).rejects.toMatchObject({
      code: 'EOF',
      message: 'The peer closed the connection after 2 bytes, where 1 more had to follow',
    });
    expect(await far.atEnd()).toBe(true);
  });

  test('moves a memory block, page for page', async () => {
    const [near, far] = await pair();
    const source = makeMemory('microvm.ram', 600);
    const copy = makeMemory('microvm.ram', 600);
    const pages = randomBytes(200 * PAGE_BYTES);
    await source.write(100 * PAGE_BYTES, pages);
    await copy.write(0, Buffer.alloc(50 * PAGE_BYTES, 7));
    const saver = makeSaver(source);
    const loader = new native.RamLoader([{ name: 'microvm.ram', memory: copy, usedBytes: copy.sizeBytes }]);
    await saver.start();
    expect(saver.dirtyPages).toBe(600);
    const loading = far.loadRam(loader);
    const sent = await saver.send(near, NO_LIMIT);
    expect(sent).toMatchObject({ normalPages: 200, zeroPages: 400, passDone: true });
    near.enqueue(EOS);
    expect(await loading).toEqual({ kind: 'eos', value: 0 });
    expect(far.bytesRead).toBe(sent.bytes + EOS.length);
    expect([loader.normalPages, loader.zeroPages]).toEqual([200, 400]);
    expect((await copy.read(0, copy.sizeBytes)).equals(await source.read(0, source.sizeBytes))).toBe(true);

    await saver.sync();
    const drain = await saver.send(near, NO_LIMIT);
    await source.write(5 * PAGE_BYTES, Buffer.of(1));
    expect(await saver.sync()).toEqual({ newlyDirtyPages: 1 });
    const again = await saver.send(near, NO_LIMIT);
    expect(again).toMatchObject({ bytes: 8 + PAGE_BYTES, normalPages: 1, passDone: true });
    near.enqueue(EOS);
    await far.loadRam(loader);
    expect(far.bytesRead).toBe(sent.bytes + drain.bytes + again.bytes + 2 * EOS.length);
    expect((await copy.read(5 * PAGE_BYTES, 1))[0]).toBe(1);
    loader.close();
    expect(loader.zeroPages).toBeGreaterThanOrEqual(400);
    await saver.stop();
  });
});

describe('ending things', () => {
  test('a second operation on the input is refused while one waits', async () => {
    const [near, far] = await unixPair();
    const waiting = near.read(1);
    await expect(near.atEnd()).rejects.toMatchObject({ code: 'EBUSY' });
    far.enqueue(Buffer.of(5));
    expect(await waiting).toEqual(Buffer.of(5));
  });

  test.each(['shutdown', 'close'] as const)('%s ends pending reads and flushes with ECANCELED', async (how) => {
    const [near] = await unixPair();
    near.enqueue(Buffer.alloc(16 << 20));
    const outcomes = Promise.allSettled([near.read(1), near.flush()]);
    const took = timed(outcomes);
    near[how]();
    expect(await took).toBeLessThan(CANCEL_LIMIT_MS);
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ECANCELED' } });
    }
    await expect(near.peek(1)).rejects.toMatchObject({ code: 'ECANCELED' });
    await expect(near.flush()).rejects.toMatchObject({ code: 'ECANCELED' });
  });

  test('a write error is told by every later flush', async () => {
    const [near, far] = await unixPair();
    far.close();
    near.enqueue(Buffer.of(1));
    await expect(near.flush()).rejects.toMatchObject({ code: 'EPIPE', syscall: 'sendmsg' });
    near.enqueue(Buffer.of(1));
    await expect(near.flush()).rejects.toMatchObject({ code: 'EPIPE' });
    expect(near.bytesQueued).toBe(0);
  });

  test('a cancelled accept rejects with ECANCELED, and so does one whose listener closes', async () => {
    const listener = listen({ type: 'tcp', host: '127.0.0.1', port: 0 });
    const accepting = listener.accept();
    accepting.cancel();
    await expect(accepting.promise).rejects.toMatchObject({ code: 'ECANCELED' });
    const other = listener.accept();
    listener.close();
    await expect(other.promise).rejects.toMatchObject({ code: 'ECANCELED' });
  });

  test('cancel ends a send that waits for a reader, and a time budget does', async () => {
    const pair = await unixPair();
    const source = makeMemory('ram', 4096);
    await source.write(0, Buffer.alloc(source.sizeBytes, 3));
    const saver = makeSaver(source);
    await saver.start();
    const sending = saver.send(pair[0], NO_LIMIT);
    await roundTrip(await pairOver({ type: 'tcp', host: '127.0.0.1', port: 0 }));
    const took = timed(sending);
    saver.cancel();
    expect(await took).toBeLessThan(CANCEL_LIMIT_MS);
    const results: RamSendResult[] = [await sending];
    const start = performance.now();
    results.push(await saver.send(pair[0], { bytes: Infinity, milliseconds: 30 }));
    expect(performance.now() - start).toBeGreaterThanOrEqual(29);
    expect(performance.now() - start).toBeLessThan(30 + CANCEL_LIMIT_MS);
    const sent = results.reduce((pages, result) => pages + result.normalPages, 0);
    expect(sent + saver.dirtyPages).toBe(4096);
    expect(results[1]?.passDone).toBe(false);
  });

  test('a closed saver refuses work', async () => {
    const saver = makeSaver(makeMemory('ram', 1));
    saver.close();
    await expect(saver.start()).rejects.toMatchObject({ code: 'ECANCELED' });
  });
});

describe('addresses', () => {
  test('a listener on port 0 tells the real port, and a taken one is refused', () => {
    const { address } = listen({ type: 'tcp', host: '127.0.0.1', port: 0 });
    expect(address).toMatchObject({ type: 'tcp', host: '127.0.0.1' });
    expect(address.type === 'tcp' && address.port).toBeGreaterThan(0);
    expect(() => new native.Listener(address)).toThrow(
      expect.objectContaining({
        code: 'EADDRINUSE',
        message: 'Failed to find an available port: Address already in use',
      }),
    );
  });

  test('a unix socket has mode 0600 and is gone after close', () => {
    const path = join(directory, 'socket');
    const listener = listen({ type: 'unix', path });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    listener.close();
    expect(existsSync(path)).toBe(false);
  });

  test('a connection that is refused says to where, as QEMU does', async () => {
    const path = join(directory, 'none');
    await expect(native.connect({ type: 'unix', path }).promise).rejects.toMatchObject({
      code: 'ENOENT',
      message: `Failed to connect to '${path}': No such file or directory`,
    });
    const listener = listen({ type: 'tcp', host: '127.0.0.1', port: 0 });
    const { address } = listener;
    listener.close();
    await expect(native.connect(address).promise).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      message: `Failed to connect to '127.0.0.1:${address.type === 'tcp' ? address.port : ''}': Connection refused`,
    });
  });
});

describe('misuse', () => {
  test('wrong arguments throw and name what is expected', async () => {
    const [near] = await unixPair();
    const loose = near as unknown as Record<string, (...values: unknown[]) => unknown>;
    expect(() => loose.enqueue?.('text')).toThrow(TypeError);
    expect(() => loose.read?.(-1)).toThrow(TypeError);
    expect(() => loose.peek?.(1.5)).toThrow(TypeError);
    expect(() => loose.loadRam?.({})).toThrow(TypeError);
    expect(() => native.connect({ type: 'tcp', host: 'x', port: 65536 })).toThrow(TypeError);
    expect(() => new native.Listener({ type: 'pipe' } as unknown as SocketTarget)).toThrow(TypeError);
    expect(() => new (near.constructor as new () => Channel)()).toThrow(TypeError);
    await expect(near.peek(65537)).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(near.read((64 << 20) + 1)).rejects.toMatchObject({ code: 'EINVAL' });
    const saver = makeSaver(makeMemory('ram', 1));
    expect(() => saver.send({} as unknown as Channel, NO_LIMIT)).toThrow(TypeError);
    expect(() => saver.send(near, { bytes: -1, milliseconds: 1 })).toThrow(TypeError);
    expect(() => saver.send(near, { bytes: 1, milliseconds: NaN })).toThrow(TypeError);
  });

  test('a malformed record rejects with EPROTO and says where', async () => {
    const [near, far] = await unixPair();
    const memory = makeMemory('ram', 1);
    const loader = new native.RamLoader([{ name: 'ram', memory, usedBytes: memory.sizeBytes }]);
    near.enqueue(Buffer.from('0000000000000022', 'hex'));
    await expect(far.loadRam(loader)).rejects.toMatchObject({
      code: 'EPROTO',
      message: expect.stringContaining('RAM record at byte 0 of the stream (flags 0x22 = ZERO|CONTINUE') as string,
    });
  });
});
