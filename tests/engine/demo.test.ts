// SPDX-License-Identifier: Apache-2.0
// needs: kvm
import { describe, expect, it } from 'vitest';
import { runDemo, type DemoOptions, type DemoProgress, type DemoResult } from '../../src-main/manager/demo.ts';
import { startStreamProxy, type StreamProxy } from '../support/stream-proxy.ts';

const MIB = 1024 ** 2;

interface DemoRun {
  readonly result: DemoResult;
  /** Bytes that a proxy between the two processes saw on their way to the destination. */
  readonly proxiedBytes: number;
  /** Whether the source's process was gone each time the verification reported progress. */
  readonly sourceGoneWhileVerifying: readonly boolean[];
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** One demo with a byte-counting proxy between its ends. */
async function demoThroughProxy(options: Omit<DemoOptions, 'mode' | 'route'>): Promise<DemoRun> {
  const proxies: StreamProxy[] = [];
  const sourceGone: boolean[] = [];
  const onProgress = (progress: DemoProgress): void => {
    if (progress.phase === 'verifying') sourceGone.push(!isAlive(progress.sourcePid));
  };
  const route = async (destination: string): Promise<string> => {
    const proxy = await startStreamProxy({ listen: `${destination}.proxy`, connect: destination });
    proxies.push(proxy);
    return proxy.uri;
  };
  try {
    const result = await runDemo(
      { mode: 'precopy', ...options, route },
      { signal: new AbortController().signal, onProgress },
    );
    const proxiedBytes = proxies
      .flatMap(({ connections }) => connections)
      .reduce((sum, { bytes }) => sum + bytes.forward, 0);
    return { result, proxiedBytes, sourceGoneWhileVerifying: sourceGone };
  } finally {
    await Promise.all(proxies.map((proxy) => proxy.close()));
  }
}

function numberAt(object: Readonly<Record<string, unknown>> | null, ...path: string[]): number {
  const value = path.reduce<unknown>((inner, key) => (inner as Record<string, unknown> | null)?.[key], object);
  if (typeof value !== 'number') throw new Error(`${path.join('.')} is ${JSON.stringify(value)}, not a number`);
  return value;
}

/** Everything that issue of a verified demo means, in one place. */
function expectTheMainJobDone({ result, proxiedBytes, sourceGoneWhileVerifying }: DemoRun, dirtyRate: number): void {
  const { source, destination, guest, pids } = result;
  expect(result.verified).toBe(true);
  expect(source).toMatchObject({ status: 'completed', runstate: 'postmigrate' });
  expect(destination).toMatchObject({ status: 'completed', runstate: 'running' });
  expect(numberAt(source, 'ram', 'dirty-sync-count')).toBeGreaterThanOrEqual(3);

  const downtimeLimitMs = 300; // QEMU's default, which the demo leaves alone
  expect(numberAt(source, 'downtime')).toBeLessThanOrEqual(2 * downtimeLimitMs);
  const copySeconds = (numberAt(source, 'total-time') - numberAt(source, 'downtime')) / 1000;
  const grown = guest.generationAtStop - guest.generationBefore;
  expect(grown).toBeGreaterThanOrEqual((dirtyRate * copySeconds) / 2);

  expect(pids.source).not.toBe(pids.destination);
  expect(sourceGoneWhileVerifying.length).toBeGreaterThan(0);
  expect(sourceGoneWhileVerifying).not.toContain(false);
  expect(guest.sweepsAfter).toBeGreaterThanOrEqual(2);
  expect(guest.corrupt).toBe(0);
  expect(guest.generationAfter).toBeGreaterThan(guest.generationAtStop);

  const transferred = numberAt(source, 'ram', 'transferred');
  expect(Math.abs(proxiedBytes - transferred) / transferred).toBeLessThan(0.01);
}

describe('the demo', () => {
  it.each(Array.from({ length: 10 }, (_, index) => index + 1))(
    'moves a live guest with 256 MiB, 2 vCPUs and 20000 dirty pages a second, time %i of 10',
    async () => {
      const dirtyRate = 20_000;
      const run = await demoThroughProxy({ memoryBytes: 256 * MIB, cpus: 2, dirtyRate, workingSetBytes: 128 * MIB });
      expectTheMainJobDone(run, dirtyRate);
    },
    60_000,
  );

  it('moves a live guest with 4 GiB, its RAM on both sides of the 3 GiB hole, and a working set of 64 MiB', async () => {
    const dirtyRate = 20_000;
    const run = await demoThroughProxy({ memoryBytes: 4096 * MIB, cpus: 2, dirtyRate, workingSetBytes: 64 * MIB });
    expectTheMainJobDone(run, dirtyRate);
  }, 240_000);

  it('moves a live guest over tcp', async () => {
    const result = await runDemo(
      {
        mode: 'precopy',
        memoryBytes: 64 * MIB,
        cpus: 1,
        dirtyRate: 5000,
        workingSetBytes: 16 * MIB,
        uri: 'tcp:127.0.0.1:0',
      },
      { signal: new AbortController().signal },
    );
    expect(result.verified).toBe(true);
  }, 60_000);
});
