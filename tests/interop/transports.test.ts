// SPDX-License-Identifier: Apache-2.0
/**
 * Machine `none` moved over every transport between Godwit and a stock QEMU in both directions, with something that
 * happens on the way: pairwise chosen rows, RAM compared bit for bit.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { handOver } from '../../src-main/manager/hand-over.ts';
import type { MigrateReply } from '../../src-main/manager/machines/replies.ts';
import { until } from '../support/machine.ts';
import { memoryHash, scratchFolder, writeContent } from '../support/memory-image.ts';
import { directions, type Direction } from '../support/none-move.ts';
import { startNonePeer, type NonePeer } from '../support/none-peer.ts';
import { pairwiseRows, type RowOf } from '../support/pairwise.ts';
import { qemuVersion } from '../support/qemu.ts';
import { begin, fetchSaved, hasReturnPath, routes } from '../support/routes.ts';
import { seeded } from '../unit/control/random.ts';

const MIB = 1024 ** 2;
const BYTES = 16 * MIB;
/** Slow enough that a move of all of it takes seconds: there is time for something to happen. */
const SLOW = 4 * MIB;
const PATIENCE_MS = 60_000;

const factors = {
  direction: directions,
  route: routes,
  onTheWay: ['nothing', 'cancelled first', 'held before the switchover', 'limited, then let go'],
  returnPath: [true, false],
} as const;
type Row = RowOf<typeof factors>;

const seed = Number(process.env['GODWIT_SEED'] ?? Date.now() % 1_000_000);
const rows = pairwiseRows(factors, seeded(seed), (row) => hasReturnPath(row.route) || !row.returnPath);
const version = qemuVersion();

const kinds: Readonly<Record<Direction, readonly ['godwit' | 'qemu', 'godwit' | 'qemu']>> = {
  'godwit → qemu': ['godwit', 'qemu'],
  'qemu → godwit': ['qemu', 'godwit'],
  'godwit → godwit': ['godwit', 'godwit'],
};

describe(`every transport with something on the way, ${rows.length} rows (GODWIT_SEED=${seed}, QEMU ${version ?? 'absent'})`, () => {
  for (const row of rows) {
    const path = row.returnPath ? 'return path' : 'one way';
    it(`${row.direction} by ${row.route}, ${path}: ${row.onTheWay}`, { timeout: 2 * PATIENCE_MS }, async ({ skip }) => {
      if (version === undefined && row.direction !== 'godwit → godwit') skip('no QEMU is installed');
      await using scratch = await scratchFolder();
      await new Move(row, scratch.path).run();
    });
  }
});

class Move {
  readonly #row: Row;
  readonly #scratch: string;
  readonly #peers: NonePeer[] = [];

  constructor(row: Row, scratch: string) {
    this.#row = row;
    this.#scratch = scratch;
  }

  async run(): Promise<void> {
    try {
      const content = join(this.#scratch, 'content');
      await writeContent(content, BYTES, 'random', seed);
      const source = await this.#start(0, content);
      const before = await memoryHash(source.link, BYTES, join(this.#scratch, 'before'));
      if (this.#row.onTheWay === 'cancelled first') await this.#cancel(source);
      const destination = await this.#move(source);
      expect(await memoryHash(destination.link, BYTES, join(this.#scratch, 'after'))).toBe(before);
      expect([await source.link.runState(), await destination.link.runState()]).toEqual(['postmigrate', 'running']);
    } finally {
      await Promise.all(this.#peers.map((peer) => peer.dispose()));
    }
  }

  async #start(end: 0 | 1, content?: string): Promise<NonePeer> {
    const peer = await startNonePeer({
      kind: kinds[this.#row.direction][end],
      memoryBytes: BYTES,
      ...(end === 1 && { incoming: true, paused: true }),
      ...(content !== undefined && { content }),
    });
    this.#peers.push(peer);
    await peer.link.setCapabilities(this.#row.returnPath ? ['events', 'return-path'] : ['events']);
    return peer;
  }

  async #begin(source: NonePeer): Promise<{ destination: NonePeer; folder: string }> {
    const destination = await this.#start(1);
    const folder = mkdtempSync(join(this.#scratch, 'between-'));
    await begin(this.#row.route, source, destination, folder);
    return { destination, folder };
  }

  /** An attempt that is given up in the middle: the guest is at the source, and runs. */
  async #cancel(source: NonePeer): Promise<void> {
    await source.link.execute('migrate-set-parameters', { 'max-bandwidth': SLOW });
    const { folder } = await this.#begin(source);
    await untilInfo(source, (info) => info.status === 'active' && (info.ram?.transferred ?? 0) > 0);
    expect(await source.link.runState()).toBe('running');
    await source.link.execute('migrate_cancel');
    const { status } = await untilInfo(source, ({ status }) => status !== 'active' && status !== 'cancelling');
    expect(status).toBe('cancelled');
    expect(await source.link.runState()).toBe('running');
    await source.link.execute('migrate-set-parameters', { 'max-bandwidth': 0 });
    rmSync(folder, { recursive: true });
  }

  async #move(source: NonePeer): Promise<NonePeer> {
    const { route, onTheWay } = this.#row;
    if (onTheWay === 'held before the switchover') await source.link.setCapabilities(['pause-before-switchover']);
    if (onTheWay === 'limited, then let go')
      await source.link.execute('migrate-set-parameters', { 'max-bandwidth': SLOW });
    const { destination, folder } = await this.#begin(source);
    const watch = route === 'saved' ? undefined : watchHandOver(source, destination);
    if (onTheWay === 'held before the switchover') await letGo(source, destination);
    if (onTheWay === 'limited, then let go') await expectLimit(source);
    await fetchSaved(route, source, destination, folder);
    expect(await (watch ?? watchHandOver(source, destination))).toEqual({
      guest: 'moved',
      destinationRunState: 'running',
    });
    return destination;
  }
}

function watchHandOver(source: NonePeer, destination: NonePeer): Promise<unknown> {
  const ends = { source: source.link, destination: destination.link };
  return Promise.race([
    handOver(ends, { guestRan: true, signal: AbortSignal.timeout(PATIENCE_MS) }),
    destination.lastWords,
  ]);
}

function untilInfo(end: NonePeer, good: (info: MigrateReply) => boolean): Promise<MigrateReply> {
  return until('state of the source', async () => (await end.link.migration()).info, good);
}

/** In the hold the guest is stopped at the source, and not yet at the destination. */
async function letGo(source: NonePeer, destination: NonePeer): Promise<void> {
  await untilInfo(source, ({ status }) => status === 'pre-switchover');
  expect(await source.link.runState()).toBe('finish-migrate');
  expect(await destination.link.runState()).toBe('inmigrate');
  await source.link.execute('migrate-continue', { state: 'pre-switchover' });
}

/** For a second and a half no more than the limit is sent; the first tenth of a second may be a burst. */
async function expectLimit(source: NonePeer): Promise<void> {
  const started = performance.now();
  const { ram } = await untilInfo(source, ({ 'total-time': ms = 0 }) => ms >= 1500);
  const seconds = (performance.now() - started) / 1000 + 0.1;
  expect(ram?.transferred ?? Infinity).toBeLessThan(SLOW * seconds * 1.15 + MIB);
  expect((await source.link.migration()).info.status).toBe('active');
  await source.link.execute('migrate-set-parameters', { 'max-bandwidth': 0 });
}
