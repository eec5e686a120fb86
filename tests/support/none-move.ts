// SPDX-License-Identifier: Apache-2.0
/** One move of a machine `none` between any two of Godwit and QEMU, with its RAM compared bit for bit afterwards. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { handOver } from '../../src-main/manager/hand-over.ts';
import { memoryHash, scratchFolder, writeContent, zeroHash } from './memory-image.ts';
import { listen, startNonePeer, type NonePeer } from './none-peer.ts';
import type { RowOf } from './pairwise.ts';

const MIB = 1024 ** 2;
const pageBytes = 4096;

/** What a move can be like. `writing`: the source runs and x-godwit-dirty writes to its memory. */
export const moveFactors = {
  transport: ['unix', 'tcp'],
  returnPath: [true, false],
  memoryMiB: [16, 64, 256],
  content: ['zero', 'random', 'mixed'],
  source: ['running', 'writing', 'stopped'],
  destination: ['paused', 'autostart'],
  vmdesc: [true, false],
} as const;

export const directions = ['godwit → qemu', 'qemu → godwit', 'godwit → godwit'] as const;
export type Direction = (typeof directions)[number];

export type MoveOptions = Omit<RowOf<typeof moveFactors>, 'memoryMiB'> & {
  readonly direction: Direction;
  readonly memoryMiB: number;
};

/** QEMU has no thread that writes; only QEMU can be told to leave the description out, or not to expect it. */
export function isPossible(row: Pick<MoveOptions, 'direction' | 'source' | 'vmdesc'>): boolean {
  if (row.source === 'writing' && row.direction === 'qemu → godwit') return false;
  return row.vmdesc || row.direction !== 'godwit → godwit';
}

/** Moves of much memory: one in either direction with QEMU. */
export function largeMoves(memoryMiB: number): MoveOptions[] {
  const common = { content: 'mixed', returnPath: true, memoryMiB, destination: 'paused', vmdesc: true } as const;
  return [
    { direction: 'godwit → qemu', transport: 'tcp', source: 'writing', ...common },
    { direction: 'qemu → godwit', transport: 'unix', source: 'running', ...common },
  ];
}

/** A row as the name of its test. */
export function describeMove(row: MoveOptions): string {
  const { direction, transport, memoryMiB, content, source, destination } = row;
  const path = row.returnPath ? 'return path' : 'one way';
  const vmdesc = row.vmdesc ? '' : ', no vmdesc';
  return `${direction}: ${memoryMiB} MiB ${content}, ${transport}, ${path}, source ${source}, destination ${destination}${vmdesc}`;
}

/** A move that takes longer than this hangs, also on a busy box whose memory is slow to come. */
export function patienceMs({ memoryMiB }: Pick<MoveOptions, 'memoryMiB'>): number {
  return 45_000 + Math.round(60 * memoryMiB);
}

/** Performs one move and checks it; `seed` decides the contents of memory and of what is written. */
export async function moveAndCompare(row: MoveOptions, seed: number): Promise<void> {
  await using scratch = await scratchFolder();
  const bytes = row.memoryMiB * MIB;
  const disposals: (() => Promise<void>)[] = [];
  try {
    const content = join(scratch.path, 'content');
    if (row.content !== 'zero') await writeContent(content, bytes, row.content, seed);
    const source = await startSource(row, content);
    disposals.push(() => source.dispose());
    await rm(content, { force: true });
    const destination = await startDestination(row);
    disposals.push(() => destination.dispose());
    await move(row, source, destination, seed);
    const [before, after] = await Promise.all([
      memoryHash(source.link, bytes, join(scratch.path, 'source.ram')),
      memoryHash(destination.link, bytes, join(scratch.path, 'destination.ram')),
    ]);
    expect(after, 'RAM of the destination').toBe(before);
    if (row.content === 'zero' && row.source !== 'writing') expect(after).toBe(zeroHash(bytes));
  } finally {
    await Promise.all(disposals.map((dispose) => dispose()));
  }
}

function startSource(row: MoveOptions, content: string): Promise<NonePeer> {
  return startNonePeer({
    kind: row.direction === 'qemu → godwit' ? 'qemu' : 'godwit',
    memoryBytes: row.memoryMiB * MIB,
    paused: row.source === 'stopped',
    suppressVmdesc: !row.vmdesc,
    content: existsSync(content) ? content : undefined,
  });
}

function startDestination(row: MoveOptions): Promise<NonePeer> {
  return startNonePeer({
    kind: row.direction === 'godwit → qemu' ? 'qemu' : 'godwit',
    memoryBytes: row.memoryMiB * MIB,
    incoming: true,
    paused: row.destination === 'paused',
    suppressVmdesc: !row.vmdesc,
  });
}

async function move(row: MoveOptions, source: NonePeer, destination: NonePeer, seed: number): Promise<void> {
  const uri = await prepare(row, source, destination);
  const guestRan = (await source.link.runState()) === 'running';
  expect(guestRan).toBe(row.source !== 'stopped');
  const writtenBefore = row.source === 'writing' ? await startWriting(source, row, seed) : 0;
  await source.link.execute('migrate', { uri });
  const outcome = await Promise.race([
    handOver(
      { source: source.link, destination: destination.link },
      { guestRan, signal: AbortSignal.timeout(patienceMs(row)) },
    ),
    destination.lastWords,
  ]);
  expect(outcome).toEqual({ guest: 'moved', destinationRunState: guestRan ? 'running' : 'prelaunch' });
  expect(await source.link.runState()).toBe('postmigrate');
  if (row.destination === 'paused' && guestRan) expectStartAfterCompletion(source, destination);
  if (row.source === 'writing') await expectWrittenMeanwhile(source, writtenBefore);
}

/** Capabilities and limits of both ends; answers where the destination listens. */
async function prepare(row: MoveOptions, source: NonePeer, destination: NonePeer): Promise<string> {
  const capabilities = row.returnPath ? ['events', 'return-path'] : ['events'];
  for (const end of [source, destination]) await end.link.setCapabilities(capabilities);
  const { bandwidth, downtimeMs } = limitsOf(row);
  await source.link.execute('migrate-set-parameters', { 'max-bandwidth': bandwidth, 'downtime-limit': downtimeMs });
  return listen(destination, row.transport);
}

/** The destination was told by `cont`, and that was after the source had let go. */
function expectStartAfterCompletion(source: NonePeer, destination: NonePeer): void {
  const completed = source.events.find(({ name, data }) => name === 'MIGRATION' && data['status'] === 'completed');
  const resumed = destination.events.filter(({ name }) => name === 'RESUME');
  expect(resumed).toHaveLength(1);
  expect(resumed[0]?.at).toBeGreaterThanOrEqual(completed?.at ?? Infinity);
}

/**
 * A memory that is written needs a limit to be moved in several passes: one pass takes a third of a second, or two
 * seconds for gigabytes, half of it is written again meanwhile, and the pause may hold a tenth of a pass.
 */
function limitsOf(row: MoveOptions): { bandwidth: number; downtimeMs: number; pagesPerSecond: number } {
  if (row.source !== 'writing') return { bandwidth: 0, downtimeMs: 300, pagesPerSecond: 0 };
  const passSeconds = row.memoryMiB >= 1024 ? 2 : 0.33;
  const bandwidth = Math.round((row.memoryMiB * MIB) / passSeconds);
  return {
    bandwidth,
    downtimeMs: Math.round(passSeconds * 100),
    pagesPerSecond: Math.round(Math.min(bandwidth / 2 / pageBytes, 100_000)),
  };
}

/** Answers how many pages have been written already. */
async function startWriting(source: NonePeer, row: MoveOptions, seed: number): Promise<number> {
  const { pagesPerSecond } = limitsOf(row);
  return dirty(source, { 'pages-per-second': pagesPerSecond, 'working-set': (row.memoryMiB * MIB) / 2, seed });
}

async function expectWrittenMeanwhile(source: NonePeer, writtenBefore: number): Promise<void> {
  // The switchover has stopped it: this changes nothing any more and gives the final count.
  const written = await dirty(source, { 'pages-per-second': 0 });
  expect(written - writtenBefore, 'pages written while the migration was under way').toBeGreaterThan(0);
  const { info } = await source.link.migration();
  expect(info.ram?.['dirty-sync-count']).toBeGreaterThanOrEqual(3);
}

async function dirty(source: NonePeer, args: Readonly<Record<string, number>>): Promise<number> {
  const reply = (await source.link.execute('x-godwit-dirty', args)) as { 'pages-written': number };
  return reply['pages-written'];
}
