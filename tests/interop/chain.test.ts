// SPDX-License-Identifier: Apache-2.0
/** One guest through twenty machines of both kinds, over changing transports, saved and restored on the way. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { handOver } from '../../src-main/manager/hand-over.ts';
import { memoryHash, scratchFolder, writeContent } from '../support/memory-image.ts';
import { listen, startNonePeer, type NonePeer, type NonePeerOptions } from '../support/none-peer.ts';
import { qemuVersion } from '../support/qemu.ts';
import { until } from '../support/machine.ts';

const BYTES = 16 * 1024 ** 2;
const MOVES = 20;
type Kind = NonePeerOptions['kind'];
/** `save`: the guest is nowhere but in a file for a while. */
type Way = 'unix' | 'tcp' | 'save';

/** Kinds change every three moves, so that every pair and every way meet; moves 7 and 14 go through a file. */
const kindOf = (machine: number): Kind => (Math.floor(machine / 3) % 2 === 0 ? 'godwit' : 'qemu');
const wayOf = (move: number): Way => (move % 7 === 0 ? 'save' : move % 2 === 0 ? 'tcp' : 'unix');

const start = (machine: number, content?: string): Promise<NonePeer> =>
  startNonePeer({
    kind: kindOf(machine),
    memoryBytes: BYTES,
    ...(machine > 0 && { incoming: true, paused: true }),
    ...(content !== undefined && { content }),
  });

async function move(source: NonePeer, destination: NonePeer, transport: 'unix' | 'tcp'): Promise<void> {
  for (const end of [source, destination]) await end.link.setCapabilities(['events', 'return-path']);
  const uri = await listen(destination, transport);
  await source.link.execute('migrate', { uri });
  const ends = { source: source.link, destination: destination.link };
  await handOver(ends, { guestRan: true, signal: AbortSignal.timeout(30_000) });
}

async function saveAndRestore(source: NonePeer, destination: NonePeer, path: string): Promise<void> {
  await source.link.execute('migrate-set-capabilities', {
    capabilities: [{ capability: 'return-path', state: false }],
  });
  await source.link.execute('migrate', { uri: `exec:gzip -1 > ${path}` });
  await until(
    'the saved guest',
    () => source.link.migration(),
    ({ info }) => info.status === 'completed',
  );
  await destination.link.execute('migrate-incoming', { uri: `exec:gzip -dc < ${path}` });
  await until(
    'the restored guest',
    () => destination.link.runState(),
    (state) => state === 'paused',
  );
  await destination.link.execute('cont');
}

it.runIf(qemuVersion() !== undefined)(
  `goes through ${MOVES} machines and runs in exactly one of them, its memory as it was`,
  { timeout: 180_000 },
  async () => {
    await using scratch = await scratchFolder();
    const content = join(scratch.path, 'content');
    await writeContent(content, BYTES, 'mixed', 7);
    let now = await start(0, content);
    const before = await memoryHash(now.link, BYTES, join(scratch.path, 'before'));
    const left: NonePeer[] = [];
    try {
      for (let step = 1; step <= MOVES; step += 1) {
        const next = await start(step);
        left.push(now);
        const way = wayOf(step);
        const where = `move ${step}, ${kindOf(step - 1)} to ${kindOf(step)} by ${way}`;
        if (way === 'save') await saveAndRestore(now, next, join(scratch.path, `saved-${step}`));
        else await move(now, next, way);
        expect([await now.link.runState(), await next.link.runState()], where).toEqual(['postmigrate', 'running']);
        now = next;
        if (left.length > 1) await left.shift()?.dispose();
      }
      expect(await memoryHash(now.link, BYTES, join(scratch.path, 'after'))).toBe(before);
    } finally {
      await Promise.all([now, ...left].map((peer) => peer.dispose()));
    }
  },
);
