// SPDX-License-Identifier: Apache-2.0
// needs: kvm
/** A source that tracks dirty pages by KVM's dirty rings does what one does that tracks them by the log. */
import { afterEach, describe, expect, it } from 'vitest';
import { QmpClient } from '../../src-main/control/client.ts';
import { continuityProblems } from '../../src-main/manager/demo/continuity.ts';
import { SweepCounter } from '../../src-main/manager/demo/sweeps.ts';
import { spawnMachine } from '../../src-main/manager/machines/builtin.ts';
import { eventually, MigrationRig, type RigOptions } from '../support/migration-rig.ts';

const MIB = 1024 ** 2;

let rig: MigrationRig | undefined;
afterEach(async () => {
  await rig?.dispose();
  rig = undefined;
});

/** Moves a live guest and lets it check all its memory at the destination. */
async function expectTheGuestMoves(options: RigOptions & { readonly cpus: number }): Promise<void> {
  rig = await MigrationRig.start(options);
  const { source, destination } = rig;
  // The guest has written and stamped all that it will check.
  await eventually(
    () => source.serial(),
    (text) => /static=[1-9]/.test(text),
    'a whole pass of the guest',
  );
  expect(await rig.migrate()).toBe('completed');
  const { ram } = (await source.migration()) as { ram: Record<string, number> };
  expect(ram['dirty-sync-count']).toBeGreaterThanOrEqual(3);

  const left = await source.serial();
  const counter = await eventually(
    async () => {
      const seen = new SweepCounter(options.cpus);
      seen.push(left);
      seen.switchOver();
      seen.push(await destination.serial());
      return seen;
    },
    ({ after, corrupt }) => corrupt.length > 0 || (after.sweeps >= 2 && after.staticPasses >= 1),
    'two sweeps and a pass over static memory after the move',
  );
  const problems = continuityProblems({
    source: (await source.heartbeats()).vcpus,
    destination: (await destination.heartbeats()).vcpus,
    corrupt: counter.corrupt,
  });
  expect(problems).toEqual([]);
  expect(await rig.running()).toEqual({ source: false, destination: true });
}

describe('a source with dirty rings', () => {
  it.each([4096, 65_536])('moves a live guest of two vCPUs with rings of %i entries', async (dirtyRingSize) => {
    const guest = { memoryBytes: 128 * MIB, cpus: 2, dirtyRate: 20_000, workingSetBytes: 32 * MIB };
    await expectTheGuestMoves({ ...guest, dirtyRingSize });
  });

  it('moves a live guest that fills its ring again and again', async () => {
    // It writes 2000 pages in the tenth of a second after which a ring is looked at, and the copy takes several.
    const guest = { cpus: 1, dirtyRate: 20_000, workingSetBytes: 16 * MIB };
    await expectTheGuestMoves({ ...guest, dirtyRingSize: 1024, maxBandwidth: 128 * MIB });
  });

  it('keeps its guest when it is cancelled, and moves it afterwards', async () => {
    rig = await MigrationRig.start({ dirtyRingSize: 4096, maxBandwidth: 8 * MIB });
    const { source } = rig;
    const over = rig.outcome();
    await rig.startMigration();
    await eventually(
      () => source.migration(),
      ({ status, ram }) => status === 'active' && (ram as Record<string, number>)['transferred']! > MIB,
      'the copy',
    );
    await source.ask('migrate_cancel');
    expect(await over).toBe('cancelled');
    expect(await source.runState()).toBe('running');

    // The first destination has ended with the attempt: another one.
    const second = spawnMachine({
      name: 'second',
      machine: 'microvm',
      memoryBytes: 64 * MIB,
      cpus: 1,
      incoming: `unix:${source.process.folder}/second.sock`,
    });
    try {
      await second.ready;
      await source.ask('migrate-set-parameters', { 'max-bandwidth': 0 });
      const again = rig.outcome();
      await source.ask('migrate', { uri: `unix:${source.process.folder}/second.sock` });
      expect(await again).toBe('completed');
      const qmp = await QmpClient.connect(second.qmpPath, { timeoutMs: 30_000 });
      expect(await qmp.execute('query-status')).toMatchObject({ status: 'running' });
      await qmp.close();
    } finally {
      await second.dispose();
    }
  });
});
