// SPDX-License-Identifier: Apache-2.0
/**
 * Either process is killed, or the link between them is cut, at every point of a migration: exactly the end that the
 * table of ownership names runs the guest, or can be made to run it, and what the ends say agrees.
 */
import { afterEach, describe, expect, it } from 'vitest';
import {
  destinationSentences,
  ownership,
  sourceSentences,
  type DestinationPhase,
  type SourcePhase,
} from '../../src-shared/migration/ownership.ts';
import { eventually, MigrationRig } from '../support/migration-rig.ts';
import type { ProxyElement } from '../support/stream-proxy.ts';

const MIB = 1024 ** 2;

/** Points of the stream, each with the status that the source has there. */
const POINTS = [
  ['header', 'setup'],
  ['configuration', 'setup'],
  ['command:OPEN_RETURN_PATH', 'setup'],
  ['ram:START', 'setup'],
  ['ram:PART', 'active'],
  ['ram:END', 'switchover'],
  ['section:timer/0', 'switchover'],
  ['section:globalstate/0', 'switchover'],
  ['eof', 'switchover'],
  ['rp:LOADED', 'before the commit'],
  ['command:GO', 'after the commit'],
  ['rp:SHUT', 'handed over'],
] as const;
const FAULTS = ['kill the source', 'kill the destination', 'cut the link'] as const;
type Fault = (typeof FAULTS)[number];

const RESTING: { readonly source: readonly string[]; readonly destination: readonly string[] } = {
  source: ['returned', 'committed', 'handed-over', 'gone'],
  destination: ['waiting', 'owner', 'gone'],
};

/** Of the source's attempt; `gone` with its process. */
const ENDED = ['completed', 'failed', 'cancelled', 'gone'];

async function statusOf(now: MigrationRig): Promise<string> {
  if ((await now.source.runState()) === 'gone') return 'gone';
  return String((await now.source.migration())['status']);
}

let rig: MigrationRig | undefined;
afterEach(async () => {
  await rig?.dispose();
  rig = undefined;
});

async function strike(fault: Fault, now: MigrationRig): Promise<void> {
  if (fault === 'cut the link') {
    now.proxy.cut();
    return;
  }
  const end = fault === 'kill the source' ? now.source : now.destination;
  end.process.kill('SIGKILL');
  await end.process.exited;
}

/** Runs a migration into the fault; answers the phases in which both ends come to rest. */
async function migrateInto(
  fault: Fault,
  hits: (element: ProxyElement) => boolean,
  capabilities: readonly string[] = [],
): Promise<{ now: MigrationRig; source: SourcePhase; destination: DestinationPhase }> {
  const struck = Promise.withResolvers<void>();
  let done = false;
  const now = await MigrationRig.start({
    machine: 'none',
    memoryBytes: 16 * MIB,
    capabilities: ['events', 'return-path', ...capabilities],
    proxy: (self) => ({
      onElement: async (element) => {
        if (done || !hits(element)) return;
        done = true;
        await strike(fault, self);
        struck.resolve();
      },
    }),
  });
  rig = now;
  await now.startMigration().catch(() => undefined);
  if (capabilities.length > 0) {
    await eventually(
      () => now.source.migration(),
      ({ status }) => status === 'pre-switchover',
      'the hold',
    );
    done = true;
    await strike(fault, now);
    struck.resolve();
  }
  await struck.promise;
  const phases = await eventually(
    // The status first: with it the source's phase is final.
    async () => ({ status: await statusOf(now), ...(await now.phases()) }),
    ({ source, destination, status }) =>
      RESTING.source.includes(source) && RESTING.destination.includes(destination) && ENDED.includes(status),
    'both ends to come to rest',
  );
  return { now, ...phases };
}

/** What the table says of these phases is what the processes do, and what they can be made to do. */
async function judge(now: MigrationRig, source: SourcePhase, destination: DestinationPhase): Promise<void> {
  const { runs, recoverable } = ownership(source, destination);
  const pair = `${source}/${destination}`;
  const running = await eventually(
    () => now.running(),
    (seen) => seen.source === (runs === 'source') && seen.destination === (runs === 'destination'),
    `what the table says of ${pair}`,
    5000,
  );
  expect(running, pair).toEqual({ source: runs === 'source', destination: runs === 'destination' });
  if (source !== 'gone') expect((await now.source.phase()).sentence).toContain(sourceSentences[source]);
  if (destination !== 'gone')
    expect((await now.destination.phase()).sentence).toContain(destinationSentences[destination]);
  if (runs !== 'neither') return;
  const [end] = recoverable;
  // Neither: the only copy was killed before the other end had all of it.
  if (end === undefined) {
    expect(pair).toBe('gone/gone');
    return;
  }
  await now[end].ask('cont');
  expect(await now.running(), `${pair} after cont`).toEqual({
    source: end === 'source',
    destination: end === 'destination',
  });
}

describe.each(FAULTS)('%s', (fault) => {
  it.each(POINTS)('at %s (%s)', async (name) => {
    const { now, source, destination } = await migrateInto(fault, (element) => element.name === name);
    await judge(now, source, destination);
    if (fault === 'kill the source') expect(source).toBe('gone');
    if (fault === 'kill the destination') expect(destination).toBe('gone');
  });

  it('in the hold before the switchover', async () => {
    const { now, source, destination } = await migrateInto(fault, () => false, ['pause-before-switchover']);
    await judge(now, source, destination);
    if (fault !== 'kill the source') expect(source).toBe('returned');
  });
});
