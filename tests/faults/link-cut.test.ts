// SPDX-License-Identifier: Apache-2.0
// needs: kvm
import { afterEach, describe, expect, it } from 'vitest';
import { ownership } from '../../src-shared/migration/ownership.ts';
import { eventually, MigrationRig } from '../support/migration-rig.ts';
import type { CutPoint } from '../support/stream-proxy.ts';

const forward = [
  'header',
  'configuration',
  'command:OPEN_RETURN_PATH',
  'command:PING',
  'ram:START',
  'ram:PART',
  'ram:END',
  'section:timer/0',
  'section:cpu/0',
  'section:serial/0',
  'section:globalstate/0',
  'eof',
  'vmdesc',
  'command:GO',
];

/** Bytes of the return path: PONG, features and PONG are 8 bytes each, LOADED is 4, SHUT is 8. */
const backwardBytes = [0, 1, 7, 8, 15, 16, 23, 24, 25, 27, 28, 29, 32, 35, 36];

let rig: MigrationRig | undefined;
afterEach(async () => {
  await rig?.dispose();
  rig = undefined;
});

/** Migrates over a link that is cut at the point, both ends alive, and holds both ends against the table. */
async function cutAndJudge(cutAt: CutPoint): Promise<void> {
  rig = await MigrationRig.start({ proxy: () => ({ cutAt }) });
  const { source, destination } = rig;

  const outcome = await rig.migrate();

  const settled = await eventually(
    async () => rig!.phases(),
    ({ destination: phase }) => !['idle', 'loading', 'loaded'].includes(phase),
    'the destination to notice the cut',
  );
  const owner = ownership(settled.source, settled.destination);
  const running = await rig.running();
  expect(running).toEqual({ source: owner.runs === 'source', destination: owner.runs === 'destination' });
  expect(outcome).toBe(settled.source === 'returned' ? 'failed' : 'completed');
  if (settled.source === 'returned') {
    expect(running.source).toBe(true);
    expect((await source.phase()).sentence).toContain('The guest stayed here.');
    await source.beating(((await source.heartbeats()).vcpus[0]?.count ?? 0) + 20);
  } else {
    await expectExactlyTheDestinationToRun(settled.destination);
  }
  expect(await source.serial()).not.toContain('CORRUPT');
  if (settled.destination !== 'gone') expect(await destination.serial()).not.toContain('CORRUPT');
}

async function expectExactlyTheDestinationToRun(phase: string): Promise<void> {
  const { source, destination } = rig!;
  expect(await source.runState()).toBe('postmigrate');
  if (phase === 'waiting') {
    expect(await destination.runState()).toBe('paused');
    expect((await destination.phase()).sentence).toContain("Send 'cont' here");
    await destination.ask('cont');
  }
  await destination.beating(100);
  expect(await rig!.running()).toEqual({ source: false, destination: true });
  const last = (await source.heartbeats()).vcpus[0];
  const first = (await destination.heartbeats()).vcpus[0];
  expect(first?.['first-ns']).toBeGreaterThan(last?.['last-ns'] ?? 0n);
  expect(first?.['first-generation']).toBeGreaterThan(last?.generation ?? 0n);
}

describe('a link cut with both ends alive', () => {
  it.each(forward.flatMap((element) => [`before ${element}`, `after ${element}`]))(
    'never lets both run, and lets one, when it is cut %s',
    async (where) => {
      const [edge, element] = where.split(' ') as ['before' | 'after', string];
      await cutAndJudge({ element, edge });
    },
  );

  it.each(backwardBytes)(
    'never lets both run, and lets one, when %i bytes of the return path have passed',
    async (byte) => {
      await cutAndJudge({ byte, direction: 'backward' });
    },
  );
});

describe('the commit', () => {
  it('has not happened when LOADED was lost: the source runs on, the destination waits for ever', async () => {
    await cutAndJudge({ element: 'rp:LOADED', edge: 'before' });
    expect(await rig!.phases()).toEqual({ source: 'returned', destination: 'waiting' });
  });

  it('has happened when LOADED arrived: a lost GO leaves the destination waiting for cont', async () => {
    await cutAndJudge({ element: 'command:GO', edge: 'before' });
    const { source } = await rig!.phases();
    expect(source).toBe('committed');
  });

  it('needs no answer: a lost SHUT changes nothing', async () => {
    await cutAndJudge({ element: 'rp:SHUT', edge: 'before' });
    expect(await rig!.phases()).toEqual({ source: 'committed', destination: 'owner' });
  });
});
