// SPDX-License-Identifier: Apache-2.0
// needs: kvm
/** One live guest through twenty machines, over every transport, twice by way of a file: it never notices. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { continuityProblems } from '../../src-main/manager/demo/continuity.ts';
import { listeningUri } from '../../src-main/manager/demo/migration-watch.ts';
import { DemoGuestLineReader, type DemoGuestLine } from '../../src-shared/demo-guest-lines.ts';
import { startMachine, until, type TestMachine } from '../support/machine.ts';
import { connectByDescriptor } from '../support/pass-descriptors.ts';

const MIB = 1024 ** 2;
const SHAPE = { memoryBytes: 32 * MIB, cpus: 2 } as const;
const MOVES = 20;
const WAYS = ['unix', 'fd socket', 'tcp', 'exec', 'fd pipe', 'unix', 'tcp'] as const;
type Way = (typeof WAYS)[number] | 'file' | 'compressed file';

/** Moves 7 and 14 go through a file. */
const wayOf = (move: number): Way =>
  move === 7 ? 'file' : move === 14 ? 'compressed file' : (WAYS[move % WAYS.length] ?? 'unix');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-chain-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function begin(way: Way, source: TestMachine, destination: TestMachine): Promise<void> {
  const between = join(folder, `between-${source.process.pid}`);
  const both = async (from: string, to = from): Promise<void> => {
    await destination.execute('migrate-incoming', { uri: from });
    await source.execute('migrate', { uri: to === 'listening' ? listeningUri(await destination.migration()) : to });
  };
  switch (way) {
    case 'unix':
      return both(`unix:${between}`);
    case 'tcp':
      return both('tcp:127.0.0.1:0', 'listening');
    case 'fd socket':
    case 'fd pipe': {
      const ends = { source: source.process.userQmpPath, destination: destination.process.userQmpPath };
      return connectByDescriptor(ends, way === 'fd pipe' ? 'pipe' : 'socket');
    }
    case 'exec':
      execFileSync('mkfifo', [between]);
      return both(`exec:cat < ${between}`, `exec:cat > ${between}`);
    case 'file':
    case 'compressed file': {
      const packed = way === 'compressed file';
      // Nobody waits for a guest that is being saved: what it writes meanwhile need not be outrun.
      await source.execute('migrate-set-parameters', { 'downtime-limit': 60_000 });
      await source.execute('migrate', { uri: packed ? `exec:gzip -1 > ${between}` : `file:${between}` });
      await source.untilStatus('completed', 'failed', 'cancelled');
      await destination.execute('migrate-incoming', { uri: packed ? `exec:gzip -dc < ${between}` : `file:${between}` });
    }
  }
}

/** What the guest has said at this machine. */
function linesOf(machine: TestMachine): DemoGuestLine[] {
  return new DemoGuestLineReader().push(readFileSync(machine.process.serialPath, 'latin1'));
}

function corruptions(machine: TestMachine): string[] {
  return linesOf(machine).flatMap((line) => (line.kind === 'corrupt' ? [line.text] : []));
}

function heartbeatsOfAll(machine: TestMachine): ReturnType<TestMachine['heartbeats']> {
  return until(
    'heartbeat of every vCPU',
    () => machine.heartbeats(),
    ({ vcpus }) => vcpus.every(({ count }) => count > 0),
  );
}

it(`goes through ${MOVES} machines and every generation of its memory goes on`, { timeout: 240_000 }, async () => {
  const left: TestMachine[] = [];
  let now = await startMachine({ ...SHAPE, guest: { dirtyRate: 1000, workingSetBytes: 8 * MIB } });
  try {
    await heartbeatsOfAll(now);
    for (let move = 1; move <= MOVES; move += 1) {
      const way = wayOf(move);
      const where = `move ${move} by ${way}`;
      const next = await startMachine({ ...SHAPE, incoming: 'defer' });
      left.push(now);
      for (const end of [now, next]) await end.setCapabilities('events', 'return-path');
      await begin(way, now, next);
      const { status, 'error-desc': reason } = await now.untilStatus('completed', 'failed', 'cancelled');
      expect([status, reason], where).toEqual(['completed', undefined]);
      await next.untilRunState('running');
      expect(await now.runState(), where).toBe('postmigrate');
      const facts = { source: (await now.heartbeats()).vcpus, destination: (await heartbeatsOfAll(next)).vcpus };
      expect(continuityProblems({ ...facts, corrupt: corruptions(now) }), where).toEqual([]);
      now = next;
      await left.shift()?.dispose();
    }
    // It has found all its memory as it left it, since the last move, too.
    const passes = (): bigint => linesOf(now).findLast((line) => line.kind === 'progress')?.staticPasses ?? 0n;
    const before = passes();
    await until(
      'pass of the guest over its memory',
      () => Promise.resolve(passes()),
      (done) => done > before + 1n,
    );
    expect(corruptions(now)).toEqual([]);
  } finally {
    await Promise.all([now, ...left].map((machine) => machine.dispose()));
  }
});
