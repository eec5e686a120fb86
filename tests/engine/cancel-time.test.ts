// SPDX-License-Identifier: Apache-2.0
/** How soon the guest runs again after migrate_cancel, wherever the migration stands before its commit. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMachine, until, type TestMachine } from '../support/machine.ts';

const MIB = 1024 ** 2;
const ROUNDS = 20;
/** The project's promise: median and worst of twenty. */
const MEDIAN_MS = 100;
const WORST_MS = 500;

let source: TestMachine;
const sockets = new Set<Socket>();
/** `taking` reads everything; `stuck` reads nothing, so that the source's writes wait. */
const peers = {
  taking: createServer((socket) => keep(socket).resume()),
  stuck: createServer((socket) => keep(socket).pause()),
};
const pathOf = (peer: keyof typeof peers): string => join(source.process.folder, `${peer}.sock`);

function keep(socket: Socket): Socket {
  sockets.add(socket);
  return socket.on('error', () => undefined);
}

beforeAll(async () => {
  source = await startMachine({ machine: 'none', memoryBytes: 64 * MIB });
  await source.execute('x-godwit-dirty', { 'pages-per-second': 50_000 });
  for (const peer of ['taking', 'stuck'] as const) {
    peers[peer].listen(pathOf(peer));
    await once(peers[peer], 'listening');
  }
});
afterAll(async () => {
  await source.dispose();
  for (const socket of sockets) socket.destroy();
  for (const server of Object.values(peers)) server.close();
});

/** Milliseconds from the request until the guest runs and the status is `cancelled`. */
async function cancelTime(): Promise<number> {
  const asked = performance.now();
  await source.execute('migrate_cancel');
  await until(
    'a guest that runs',
    async () => ({ state: await source.runState(), status: (await source.migration()).status }),
    ({ state, status }) => state === 'running' && status === 'cancelled',
  );
  return performance.now() - asked;
}

interface Case {
  readonly what: string;
  readonly peer: keyof typeof peers;
  readonly capabilities: readonly string[];
  readonly parameters: Readonly<Record<string, number>>;
  readonly there: (state: { status: string | undefined; runState: string }) => boolean;
}

const CASES: readonly Case[] = [
  {
    what: 'while memory is copied',
    peer: 'taking',
    capabilities: [],
    parameters: { 'max-bandwidth': MIB, 'downtime-limit': 1 },
    there: ({ status }) => status === 'active',
  },
  {
    what: 'while the peer takes nothing',
    peer: 'stuck',
    capabilities: ['return-path'],
    parameters: { 'max-bandwidth': 0, 'downtime-limit': 300 },
    there: ({ status }) => status === 'active',
  },
  {
    what: 'while the peer does not answer',
    peer: 'taking',
    capabilities: ['return-path'],
    parameters: { 'max-bandwidth': 0, 'downtime-limit': 2000 },
    there: ({ status }) => status === 'active',
  },
  {
    what: 'in the hold before the switchover, with the guest stopped',
    peer: 'taking',
    capabilities: ['pause-before-switchover'],
    parameters: { 'max-bandwidth': 0, 'downtime-limit': 2000 },
    there: ({ status, runState }) => status === 'pre-switchover' && runState === 'finish-migrate',
  },
];

describe('migrate_cancel', () => {
  it.each(CASES)('gives the guest back at once $what', async ({ peer, capabilities, parameters, there }) => {
    await source.execute('migrate-set-capabilities', {
      capabilities: ['return-path', 'pause-before-switchover'].map((capability) => ({
        capability,
        state: capabilities.includes(capability),
      })),
    });
    await source.execute('migrate-set-parameters', parameters);
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      await source.execute('migrate', { uri: `unix:${pathOf(peer)}` });
      await until(
        'the point of the cancel',
        async () => ({ status: (await source.migration()).status, runState: await source.runState() }),
        there,
      );
      times.push(await cancelTime());
    }
    const sorted = times.toSorted((one, other) => one - other);
    const median = ((sorted[ROUNDS / 2 - 1] ?? 0) + (sorted[ROUNDS / 2] ?? 0)) / 2;
    expect(median, `median of ${sorted.map((ms) => ms.toFixed(1)).join(', ')}`).toBeLessThan(MEDIAN_MS);
    expect(sorted.at(-1)).toBeLessThan(WORST_MS);
  });
});
