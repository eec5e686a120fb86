// SPDX-License-Identifier: Apache-2.0
/**
 * A manager in a process of its own that moves a detached machine: `node run-owner.ts STORE BANDWIDTH`. Prints a line of
 * JSON with the machine's id and both pids once memory is being copied, and goes on; it is there to be killed.
 */
import { createManager } from '../../src-main/manager/core.ts';
import type { RunView } from '../../src-shared/run.ts';

const [storePath = '', bandwidth = '0'] = process.argv.slice(2);
const MIB = 1024 ** 2;
const manager = await createManager({ version: '0.0.0', vehicle: 'served', storePath });
const settings = {
  name: 'db1',
  memoryBytes: 64 * MIB,
  cpus: 1,
  cpuModel: 'x86-64-v2',
  workingSetBytes: 16 * MIB,
  dirtyRate: 2000,
  lifetime: 'detached',
};
const { id } = (await manager.call('machines.create', { settings, receiver: false })) as { id: string };
await manager.call('machines.start', { id });
let told = false;
manager.onEvent((event) => {
  if (event.name !== 'run.changed' || event.data.status !== 'active' || told) return;
  told = true;
  tell(event.data);
});
await manager.call('migration.start', {
  machineId: id,
  destination: { kind: 'new-process' },
  profileId: 'balanced',
  overrides: { capabilities: {}, parameters: { 'max-bandwidth': Number(bandwidth) } },
  acceptedRisks: [],
});

function tell({ where, id: runId }: RunView): void {
  process.stdout.write(
    `${JSON.stringify({ id, runId, source: where.source.pid, destination: where.destination.pid })}\n`,
  );
}
