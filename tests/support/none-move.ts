// SPDX-License-Identifier: Apache-2.0
/** One move of a machine `none` between any two of Godwit and QEMU, with its RAM compared bit for bit afterwards. */
import { createCipheriv, createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { listeningUri } from '../../src-main/manager/demo/migration-watch.ts';
import { handOver, type HandOver } from '../../src-main/manager/hand-over.ts';
import { describeExit, spawnMachine } from '../../src-main/manager/machines/builtin.ts';
import { MachineLink } from '../../src-main/manager/machines/link.ts';
import { QemuProcess } from './qemu.ts';
import type { RowOf } from './pairwise.ts';

const MIB = 1024 ** 2;
const pageBytes = 4096;
/** Memory is saved and compared in pieces of this size: no file of gigabytes, and no command that takes seconds. */
const dumpMiB = 32;

/** A move that takes longer than this hangs, also on a busy box whose memory is slow to come. */
export function patienceMs({ memoryMiB }: Pick<MoveOptions, 'memoryMiB'>): number {
  return 45_000 + (memoryMiB / 1024) * 60_000;
}

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

/** A row as the name of its test. */
export function describeMove(row: MoveOptions): string {
  const { direction, transport, memoryMiB, content, source, destination } = row;
  const path = row.returnPath ? 'return path' : 'one way';
  const vmdesc = row.vmdesc ? '' : ', no vmdesc';
  return `${direction}: ${memoryMiB} MiB ${content}, ${transport}, ${path}, source ${source}, destination ${destination}${vmdesc}`;
}

/** One end, whatever it is. */
interface Peer {
  readonly link: MachineLink;
  /** Private folder, gone with the peer. */
  readonly folder: string;
  /** What it said when it ended. */
  lastWords(): Promise<string>;
  dispose(): Promise<void>;
}

export interface MoveOutcome {
  readonly dirtySyncCount: number;
  /** By x-godwit-dirty while the migration was under way. */
  readonly pagesWritten: number;
  readonly sha256: string;
}

/** Performs one move and checks it; `seed` decides the contents of memory and of what is written. */
export async function moveAndCompare(row: MoveOptions, seed: number): Promise<MoveOutcome> {
  await using scratch = await scratchFolder();
  const disposals: (() => Promise<void>)[] = [];
  try {
    const content = join(scratch.path, 'content');
    if (row.content !== 'zero') await writeContent(content, row.memoryMiB * MIB, row.content, seed);
    const source = await startSource(row, content);
    disposals.push(() => source.dispose());
    // QEMU's RAM is the file itself: its name is not needed any more. Godwit has read it.
    await rm(content, { force: true });
    const destination = await startDestination(row);
    disposals.push(() => destination.dispose());
    const moved = await move(row, source, destination, seed);
    const [before, after] = await Promise.all([
      memoryHash(source, row, join(scratch.path, 'source.ram')),
      memoryHash(destination, row, join(scratch.path, 'destination.ram')),
    ]);
    expect(after, 'RAM of the destination').toBe(before);
    if (row.content === 'zero' && row.source !== 'writing') expect(after).toBe(zeroHash(row.memoryMiB * MIB));
    return { ...moved, sha256: after };
  } finally {
    await Promise.all(disposals.map((dispose) => dispose()));
  }
}

// --- the ends

async function startSource(row: MoveOptions, content: string): Promise<Peer> {
  const memoryBytes = row.memoryMiB * MIB;
  const paused = row.source === 'stopped';
  if (row.direction === 'qemu → godwit') {
    const ramFile = existsSync(content) ? { ramFile: content } : {};
    return qemuPeer(await QemuProcess.start({ memoryBytes, paused, suppressVmdesc: !row.vmdesc, ...ramFile }));
  }
  const load = existsSync(content) ? { load: [{ file: content, address: 0 }] } : {};
  return godwitPeer({ name: 'source', machine: 'none', memoryBytes, paused, ...load });
}

async function startDestination(row: MoveOptions): Promise<Peer> {
  const memoryBytes = row.memoryMiB * MIB;
  const paused = row.destination === 'paused';
  if (row.direction === 'godwit → qemu') {
    return qemuPeer(await QemuProcess.start({ memoryBytes, paused, suppressVmdesc: !row.vmdesc, incoming: true }));
  }
  return godwitPeer({ name: 'destination', machine: 'none', memoryBytes, paused, incoming: 'defer' });
}

function qemuPeer(qemu: QemuProcess): Peer {
  return {
    link: qemu.link,
    folder: qemu.folder,
    lastWords: async () => {
      const { code, signal } = await qemu.exited;
      return `QEMU ended with ${String(code ?? signal)}: ${qemu.stderr}`;
    },
    dispose: () => qemu.dispose(),
  };
}

async function godwitPeer(options: Parameters<typeof spawnMachine>[0]): Promise<Peer> {
  const machine = spawnMachine(options);
  try {
    await machine.ready;
    const link = await MachineLink.connect(machine.qmpPath, AbortSignal.timeout(patienceMs({ memoryMiB: options.memoryBytes / MIB })));
    return {
      link,
      folder: machine.folder,
      lastWords: async () => `Godwit ended: ${describeExit(await machine.exited)}`,
      dispose: async () => {
        link.close();
        await machine.dispose();
      },
    };
  } catch (error) {
    await machine.dispose();
    throw error;
  }
}

// --- the move

async function move(row: MoveOptions, source: Peer, destination: Peer, seed: number) {
  const uri = await prepare(row, source, destination);
  const guestRan = (await source.link.runState()) === 'running';
  expect(guestRan).toBe(row.source !== 'stopped');
  const writtenBefore = row.source === 'writing' ? await dirty(source, row, seed) : 0;
  await source.link.execute('migrate', { uri });
  const outcome = await Promise.race([
    handOver(
      { source: source.link, destination: destination.link },
      { guestRan, signal: AbortSignal.timeout(patienceMs(row)) },
    ),
    destination.lastWords().then((words): HandOver => {
      throw new Error(words);
    }),
  ]);
  expect(outcome).toEqual({ guest: 'moved', destinationRunState: guestRan ? 'running' : 'prelaunch' });
  expect(await source.link.runState()).toBe('postmigrate');
  const { info } = await source.link.migration();
  const dirtySyncCount = info.ram?.['dirty-sync-count'] ?? 0;
  if (row.source !== 'writing') return { dirtySyncCount, pagesWritten: 0 };
  // It is stopped by the switchover: the second question changes nothing any more and gives the final count.
  const pagesWritten = (await setDirty(source, { 'pages-per-second': 0 })) - writtenBefore;
  expect(pagesWritten, 'pages written while the migration was under way').toBeGreaterThan(0);
  expect(dirtySyncCount).toBeGreaterThanOrEqual(3);
  return { dirtySyncCount, pagesWritten };
}

/** Capabilities, limits and the listening destination; answers where it listens. */
async function prepare(row: MoveOptions, source: Peer, destination: Peer): Promise<string> {
  const capabilities = row.returnPath ? ['events', 'return-path'] : ['events'];
  for (const end of [source, destination]) await end.link.setCapabilities(capabilities);
  const { bandwidth, downtimeMs } = limitsOf(row);
  await source.link.execute('migrate-set-parameters', { 'max-bandwidth': bandwidth, 'downtime-limit': downtimeMs });
  const asked = row.transport === 'tcp' ? 'tcp:127.0.0.1:0' : `unix:${join(destination.folder, 'migration.sock')}`;
  await destination.link.execute('migrate-incoming', { uri: asked });
  if (row.transport === 'unix') return asked;
  const listening = listeningUri((await destination.link.migration()).info);
  if (listening === undefined) throw new Error('the destination does not say where it listens');
  return listening;
}

/**
 * A memory that is written needs a limit to be moved in several passes: one pass takes a third of a second, or two
 * seconds for gigabytes, half of it is written again meanwhile, and the pause may hold a tenth of a pass.
 */
function limitsOf(row: MoveOptions): { bandwidth: number; downtimeMs: number; pagesPerSecond: number } {
  if (row.source !== 'writing') return { bandwidth: 0, downtimeMs: 300, pagesPerSecond: 0 };
  const passSeconds = row.memoryMiB > 1024 ? 2 : 0.33;
  const bandwidth = Math.round((row.memoryMiB * MIB) / passSeconds);
  return {
    bandwidth,
    downtimeMs: Math.round(passSeconds * 100),
    pagesPerSecond: Math.round(Math.min(bandwidth / 2 / pageBytes, 100_000)),
  };
}

async function dirty(source: Peer, row: MoveOptions, seed: number): Promise<number> {
  const { pagesPerSecond } = limitsOf(row);
  return setDirty(source, { 'pages-per-second': pagesPerSecond, 'working-set': (row.memoryMiB * MIB) / 2, seed });
}

async function setDirty(source: Peer, args: Readonly<Record<string, number>>): Promise<number> {
  const reply = (await source.link.execute('x-godwit-dirty', args)) as { 'pages-written': number };
  return reply['pages-written'];
}

// --- contents

/** Memory-backed where there is such a folder: dumps are written once, read once and removed. */
async function scratchFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'godwit-interop-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Repeatable bytes: the key stream of AES in counter mode. `mixed` has zero pages and pages that look nearly like zero. */
async function writeContent(path: string, bytes: number, kind: 'random' | 'mixed', seed: number): Promise<void> {
  const key = createHash('sha256').update(`${seed}`).digest().subarray(0, 16);
  const keyStream = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(Math.min(bytes, 4 * MIB));
  const file = await open(path, 'wx', 0o600);
  try {
    for (let done = 0; done < bytes; done += zeros.length) {
      const chunk = keyStream.update(zeros);
      if (kind === 'mixed') blankPages(chunk);
      await file.write(chunk, 0, Math.min(chunk.length, bytes - done));
    }
  } finally {
    await file.close();
  }
}

/** Leaves about half of the pages: each page's own first byte decides. */
function blankPages(chunk: Buffer): void {
  for (let page = 0; page < chunk.length; page += pageBytes) {
    const choice = chunk[page] ?? 0;
    if (choice >= 128) continue;
    // Zero but for one byte, at the page's end, start or anywhere; or a page of one repeated byte; or all zero.
    const last = chunk[page + pageBytes - 1] ?? 0;
    chunk.fill(choice < 8 ? 0xff : 0, page, page + pageBytes);
    if (choice >= 8 && choice < 16) chunk[page + pageBytes - 1] = 1;
    if (choice >= 16 && choice < 24) chunk[page] = 1;
    if (choice >= 24 && choice < 32) chunk[page + ((last * 16) % pageBytes)] = 1;
  }
}

/** sha256 of all RAM, by way of a small file that is written again and again. */
async function memoryHash(peer: Peer, { memoryMiB }: MoveOptions, path: string): Promise<string> {
  const hash = createHash('sha256');
  const size = Math.min(memoryMiB, dumpMiB) * MIB;
  for (let val = 0; val < memoryMiB * MIB; val += size) {
    await peer.link.execute('pmemsave', { val, size, filename: path });
    const dump = await readFile(path);
    expect(dump.length).toBe(size);
    hash.update(dump);
  }
  await rm(path, { force: true });
  return hash.digest('hex');
}

function zeroHash(bytes: number): string {
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(MIB);
  for (let done = 0; done < bytes; done += zeros.length) hash.update(zeros);
  return hash.digest('hex');
}
