// SPDX-License-Identifier: Apache-2.0
// needs: kvm
/** The app is killed while it moves a detached machine: exactly one guest runs, and the next start shows where. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createManager } from '../../src-main/manager/core.ts';
import { QmpClient } from '../../src-main/control/client.ts';
import { startTicksOf } from '../../src-main/manager/store/process-identity.ts';
import type { MachineView } from '../../src-shared/machine-view.ts';
import type { RunSummary } from '../../src-shared/run.ts';

interface Told {
  readonly id: string;
  readonly runId: string;
  readonly source: number;
  readonly destination: number;
}

const MIB = 1024 ** 2;
const SLOW = 4 * MIB;

/** Starts the owner, kills it `afterMs` after it said that memory is being copied, and answers what it said. */
async function killOwner(store: string, bandwidth: number, afterMs: number): Promise<Told> {
  const owner = spawn(
    process.execPath,
    [join(import.meta.dirname, '../support/run-owner.ts'), store, String(bandwidth)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const line = await new Promise<string>((resolve, reject) => {
    owner.stdout.setEncoding('utf8').on('data', resolve);
    owner.once('exit', () => reject(new Error('the owner ended by itself')));
  });
  await sleep(afterMs); // a point of the run, not something to wait for
  owner.kill('SIGKILL');
  return JSON.parse(line) as Told;
}

/** A zombie does not: nobody may be there to reap what the killed owner had started. */
const lives = (pid: number): boolean => startTicksOf(pid) !== null;

it.each([
  { what: 'in the middle of the copy', bandwidth: SLOW, afterMs: 100 },
  { what: 'at once', bandwidth: SLOW, afterMs: 0 },
  { what: 'around the switchover', bandwidth: 0, afterMs: 40 },
  { what: 'when the guest has moved', bandwidth: 0, afterMs: 600 },
])('one guest runs when the owner is killed $what', { timeout: 60_000 }, async ({ bandwidth, afterMs }) => {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-owner-'));
  const storePath = join(folder, 'godwit.db');
  const told = await killOwner(storePath, bandwidth, afterMs);
  const manager = await createManager({ version: '0.0.0', vehicle: 'served', storePath });
  try {
    const { machines } = (await manager.call('machines.list', {})) as { machines: MachineView[] };
    const machine = machines.find(({ id }) => id === told.id);
    expect(machine).toMatchObject({ state: 'running', runState: 'running' });
    const alive = [told.source, told.destination].filter(lives);
    expect(alive).toEqual([machine?.pid]);
    const user = await QmpClient.connect(machine?.userQmpPath ?? '', { timeoutMs: 5000 });
    expect(await user.execute('query-status')).toMatchObject({ status: 'running' });
    await user.close();
    const { runs } = (await manager.call('runs.list', { limit: 5 })) as { runs: RunSummary[] };
    expect(['interrupted', 'completed']).toContain(runs.find(({ id }) => id === told.runId)?.outcome);
    await manager.call('machines.stop', { id: told.id });
    expect([told.source, told.destination].filter(lives)).toEqual([]);
  } finally {
    await manager.close();
    for (const pid of [told.source, told.destination]) if (lives(pid)) process.kill(pid, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
});
