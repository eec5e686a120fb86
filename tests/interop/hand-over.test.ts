// SPDX-License-Identifier: Apache-2.0
/**
 * The commit rule with a stock QEMU at one end: destinations are started paused and told by the manager. Wherever the
 * link breaks, at most one end runs the guest, and it runs where the manager says it is.
 */
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { handOver } from '../../src-main/manager/hand-over.ts';
import { eventually } from '../support/migration-rig.ts';
import { listen, startNonePeer, type NonePeer } from '../support/none-peer.ts';
import { qemuVersion } from '../support/qemu.ts';
import { startStreamProxy, type CutPoint, type StreamProxy } from '../support/stream-proxy.ts';

const memoryBytes = 4 * 1024 ** 2;

const cuts: readonly { where: string; cutAt: CutPoint; guest: 'stayed' | 'moved' }[] = [
  { where: 'before the first byte', cutAt: { element: 'header', edge: 'before' }, guest: 'stayed' },
  { where: 'before RAM', cutAt: { element: 'ram:START', edge: 'before' }, guest: 'stayed' },
  { where: 'before the last pages', cutAt: { element: 'ram:END', edge: 'before' }, guest: 'stayed' },
  { where: 'between two devices', cutAt: { element: 'section:globalstate/0', edge: 'before' }, guest: 'stayed' },
  { where: 'before the end of the state', cutAt: { element: 'eof', edge: 'before' }, guest: 'stayed' },
  { where: 'when all has arrived', cutAt: { element: 'eof', edge: 'after' }, guest: 'stayed' },
  { where: "before the destination's verdict", cutAt: { element: 'rp:SHUT', edge: 'before' }, guest: 'stayed' },
  { where: "after the destination's verdict", cutAt: { element: 'rp:SHUT', edge: 'after' }, guest: 'moved' },
];

const open: { dispose: () => Promise<void> }[] = [];
afterEach(async () => {
  for (const { dispose } of open.splice(0).reverse()) await dispose();
});

function keep<T extends { dispose: () => Promise<void> }>(resource: T): T {
  open.push(resource);
  return resource;
}

async function startPair(direction: 'godwit → qemu' | 'qemu → godwit') {
  const [from, to] = direction === 'godwit → qemu' ? (['godwit', 'qemu'] as const) : (['qemu', 'godwit'] as const);
  const source = keep(await startNonePeer({ kind: from, memoryBytes }));
  const destination = keep(await startNonePeer({ kind: to, memoryBytes, incoming: true, paused: true }));
  for (const end of [source, destination]) await end.link.setCapabilities(['events', 'return-path']);
  return { source, destination };
}

/** Migrates through the proxy, as the manager does it. */
async function migrate(source: NonePeer, destination: NonePeer, proxy: StreamProxy) {
  await source.link.execute('migrate', { uri: proxy.uri });
  return handOver(
    { source: source.link, destination: destination.link },
    { guestRan: true, signal: AbortSignal.timeout(30_000) },
  );
}

async function runStateOf(end: NonePeer): Promise<string> {
  const ended = end.lastWords.then(() => 'gone');
  return Promise.race([ended, end.link.runState().catch(() => ended)]);
}

const version = qemuVersion();

describe.each(['godwit → qemu', 'qemu → godwit'] as const)('%s, a link that is cut', (direction) => {
  it.for(cuts)('$where: the guest has $guest, and runs there alone', async ({ cutAt, guest }, { skip }) => {
    if (version === undefined) skip('no QEMU is installed');
    const { source, destination } = await startPair(direction);
    const uri = await listen(destination, 'unix');
    const listenAt = `unix:${join(source.folder, 'proxy.sock')}`;
    const proxy = await startStreamProxy({ listen: listenAt, connect: uri, cutAt });
    keep({ dispose: () => proxy.close() });

    const outcome = await migrate(source, destination, proxy);
    expect(outcome.guest).toBe(guest);
    expect(proxy.connections[0]?.cut).toBe(true);
    // A destination that lost its source in the middle ends; one that has the whole guest may stay, but waits.
    const there = await eventually(
      () => runStateOf(destination),
      (state) => state !== 'inmigrate',
      'the destination to notice the cut',
    );
    const here = await runStateOf(source);
    expect([here, there]).toEqual(
      guest === 'moved' ? ['postmigrate', 'running'] : ['running', expect.stringMatching(/^(gone|paused)$/)],
    );
    const resumes = destination.events.filter(({ name }) => name === 'RESUME').length;
    expect(resumes).toBe(guest === 'moved' ? 1 : 0);
  });
});
