// SPDX-License-Identifier: Apache-2.0
// needs: kvm
/** pause-before-switchover: the guest is stopped and waits for a word. */
import { afterEach, describe, expect, it } from 'vitest';
import { eventually, MigrationRig } from '../support/migration-rig.ts';

let rig: MigrationRig | undefined;
afterEach(async () => {
  await rig?.dispose();
  rig = undefined;
});

async function held(): Promise<{ readonly rig: MigrationRig; readonly over: Promise<string> }> {
  const started = await MigrationRig.start({ capabilities: ['events', 'return-path', 'pause-before-switchover'] });
  rig = started;
  const over = started.outcome();
  await started.startMigration();
  await eventually(
    () => started.source.migration(),
    ({ status }) => status === 'pre-switchover',
    'the hold',
  );
  return { rig: started, over };
}

describe('a migration that is held before its switchover', () => {
  it('keeps the guest stopped at the source until migrate-continue, and then moves it', async () => {
    const { rig: now, over } = await held();
    const { source, destination } = now;
    expect(await source.runState()).toBe('finish-migrate');
    expect(await destination.runState()).toBe('inmigrate');
    await expect(source.ask('cont')).rejects.toThrow('Migration is not finalized yet');
    await expect(source.ask('migrate-continue', { state: 'active' })).rejects.toThrow(
      'Migration not in expected state: pre-switchover',
    );
    expect((await source.migration()).status).toBe('pre-switchover');
    await source.ask('migrate-continue', { state: 'pre-switchover' });
    expect(await over).toBe('completed');
    expect(await now.running()).toEqual({ source: false, destination: true });
    const statuses = source.events.filter(({ name }) => name === 'MIGRATION').map(({ data }) => data['status']);
    expect(statuses).toEqual(['setup', 'active', 'pre-switchover', 'device', 'completed']);
  });

  it('gives the guest back when it is cancelled', async () => {
    const { rig: now, over } = await held();
    await now.source.ask('migrate_cancel');
    expect(await over).toBe('cancelled');
    expect(await now.source.runState()).toBe('running');
  });

  it('gives the guest back when the destination dies', async () => {
    const { rig: now, over } = await held();
    over.catch(() => undefined); // it asks the destination too
    now.destination.process.kill('SIGKILL');
    await eventually(
      () => now.source.migration(),
      ({ status }) => status === 'failed',
      'the end of the attempt',
    );
    expect(await now.source.runState()).toBe('running');
  });
});

it('migrate-continue of an idle machine takes the status none', async () => {
  rig = await MigrationRig.start();
  await rig.source.ask('migrate-continue', { state: 'none' });
  await expect(rig.source.ask('migrate-continue', { state: 'pre-switchover' })).rejects.toThrow(
    'Migration not in expected state: none',
  );
});
