// SPDX-License-Identifier: Apache-2.0
// needs: kvm
import { afterEach, describe, expect, it } from 'vitest';
import { eventually, MigrationRig } from '../support/migration-rig.ts';

const MIB = 1024 ** 2;
let rig: MigrationRig | undefined;
afterEach(async () => {
  await rig?.dispose();
  rig = undefined;
});

describe('migrate_cancel', () => {
  it('leaves the guest running at the source and ends the destination while memory is copied', async () => {
    rig = await MigrationRig.start({ maxBandwidth: 8 * MIB });
    const { source, destination } = rig;
    const over = rig.outcome();
    await rig.startMigration();
    await eventually(
      () => source.migration(),
      ({ status }) => status === 'active',
      'the copy',
    );

    await source.ask('migrate_cancel');

    expect(await over).toBe('cancelled');
    expect(await source.runState()).toBe('running');
    expect((await source.phase()).phase).toBe('returned');
    expect((await destination.process.exited).code).toBe(1);
    expect(destination.process.lastWords()).toContain('load of migration failed');
    await source.beating(((await source.heartbeats()).vcpus[0]?.count ?? 0) + 50);
    expect(source.events.filter(({ name }) => name === 'STOP')).toEqual([]);
  });

  it('gives the guest back when it was already stopped for the switchover and the destination is silent', async () => {
    const held = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    rig = await MigrationRig.start({
      proxy: () => ({
        onElement: async ({ name }) => {
          if (name !== 'eof') return;
          reached.resolve();
          await held.promise;
        },
      }),
    });
    const { source, destination } = rig;
    const over = rig.outcome();
    await rig.startMigration();
    await reached.promise;
    await eventually(
      () => source.runState(),
      (state) => state === 'finish-migrate',
      'the guest to be stopped',
    );

    const asked = performance.now();
    await source.ask('migrate_cancel');
    expect(await over).toBe('cancelled');
    held.resolve();

    expect(await source.runState()).toBe('running');
    expect(performance.now() - asked).toBeLessThan(500);
    expect(source.events.map(({ name }) => name).filter((name) => name === 'STOP' || name === 'RESUME')).toEqual([
      'STOP',
      'RESUME',
    ]);
    expect(await destination.process.exited).toMatchObject({
      code: 1,
      lastWords: 'load of migration failed: The source cancelled the migration and keeps the guest',
    });
  });

  it('is answered with {} when nothing is there to cancel', async () => {
    rig = await MigrationRig.start();
    expect(await rig.source.ask('migrate_cancel')).toEqual({});
    expect(await rig.migrate()).toBe('completed');
    expect(await rig.source.ask('migrate_cancel')).toEqual({});
    expect(await rig.source.runState()).toBe('postmigrate');
  });

  it('ends a migration that was never answered by its listener', async () => {
    rig = await MigrationRig.start({
      maxBandwidth: 8 * MIB,
      proxy: () => ({ cutAt: { byte: 100, direction: 'forward', effect: 'stall' } }),
    });
    const over = rig.outcome();
    await rig.startMigration();
    await eventually(
      () => rig!.source.migration(),
      ({ status }) => status === 'active',
      'the copy',
    );
    await rig.source.ask('migrate_cancel');
    expect(await over).toBe('cancelled');
    expect(await rig.source.runState()).toBe('running');
  });
});

describe('quit of the source', () => {
  it('cancels a migration that is under way before the process ends', async () => {
    rig = await MigrationRig.start({ maxBandwidth: 8 * MIB });
    const { source, destination } = rig;
    await rig.startMigration();
    await eventually(
      () => source.migration(),
      ({ status }) => status === 'active',
      'the copy',
    );
    await source.ask('quit');
    expect((await source.process.exited).code).toBe(0);
    expect((await destination.process.exited).code).toBe(1);
    const statuses = source.events.filter(({ name }) => name === 'MIGRATION').map(({ data }) => data['status']);
    expect(statuses).toEqual(['setup', 'active', 'cancelling', 'cancelled']);
  });
});
