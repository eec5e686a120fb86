// SPDX-License-Identifier: Apache-2.0
// needs: kvm
import { afterEach, expect, it } from 'vitest';
import { ownership } from '../../src-shared/migration/ownership.ts';
import { MigrationRig } from '../support/migration-rig.ts';

/** Elements of the stream at which the destination dies; all of them pass before the source can commit. */
const points: readonly { readonly element: string; readonly occurrence: number }[] = [
  { element: 'header', occurrence: 1 },
  { element: 'configuration', occurrence: 1 },
  { element: 'command:OPEN_RETURN_PATH', occurrence: 1 },
  { element: 'command:PING', occurrence: 1 },
  { element: 'command:PING', occurrence: 2 },
  { element: 'ram:START', occurrence: 1 },
  { element: 'ram:PART', occurrence: 1 },
  { element: 'ram:PART', occurrence: 2 },
  { element: 'ram:END', occurrence: 1 },
  { element: 'section:timer/0', occurrence: 1 },
  { element: 'section:cpu_common/0', occurrence: 1 },
  { element: 'section:cpu/0', occurrence: 1 },
  { element: 'section:serial/0', occurrence: 1 },
  { element: 'section:globalstate/0', occurrence: 1 },
  { element: 'eof', occurrence: 1 },
];

let rig: MigrationRig | undefined;
afterEach(async () => {
  await rig?.dispose();
  rig = undefined;
});

it.each(points)(
  'goes on at the source, and says why, when the destination is killed at $element, number $occurrence',
  async (point) => {
    rig = await MigrationRig.start({
      maxBandwidth: 64 * 1024 ** 2,
      proxy: (self) => ({
        onElement: async ({ name, occurrence }) => {
          if (name !== point.element || occurrence !== point.occurrence) return;
          self.destination.process.kill('SIGKILL');
          await self.destination.process.exited;
        },
      }),
    });
    const { source } = rig;

    expect(await rig.migrate()).toBe('failed');

    expect(await source.runState()).toBe('running');
    expect(await rig.phases()).toEqual({ source: 'returned', destination: 'gone' });
    expect(ownership('returned', 'gone').runs).toBe('source');
    const { 'error-desc': reason } = await source.migration();
    expect(reason).toMatch(/destination|socket|connection|channel/i);
    expect((await source.phase()).sentence).toContain('The guest stayed here.');
    const before = await source.heartbeats();
    await source.beating((before.vcpus[0]?.count ?? 0) + 50);
    expect(await source.serial()).not.toContain('CORRUPT');
  },
);

it('leaves the source able to migrate again after a destination was killed', async () => {
  rig = await MigrationRig.start({
    proxy: (self) => ({
      onElement: async ({ name }) => {
        if (name !== 'ram:END') return;
        self.destination.process.kill('SIGKILL');
        await self.destination.process.exited;
      },
    }),
  });
  expect(await rig.migrate()).toBe('failed');
  const { source } = rig;
  const second = await MigrationRig.start();
  try {
    const over = rig.outcome();
    await source.ask('migrate', { uri: second.uri });
    expect(await over).toBe('completed');
    await second.destination.beating(200);
    expect(await second.destination.runState()).toBe('running');
    expect(await second.destination.serial()).not.toContain('CORRUPT');
  } finally {
    await second.dispose();
  }
});
