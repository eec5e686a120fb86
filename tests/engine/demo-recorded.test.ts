// SPDX-License-Identifier: Apache-2.0
// needs: kvm
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DemoError, runDemo } from '../../src-main/manager/demo.ts';
import type { DemoHooks, DemoOptions } from '../../src-main/manager/demo.ts';
import { DemoRecording } from '../../src-main/manager/demo/recording.ts';
import { openStore } from '../../src-main/manager/store/store.ts';
import type { Store } from '../../src-main/manager/store/store.ts';
import { startStreamProxy } from '../support/stream-proxy.ts';
import type { StreamProxy } from '../support/stream-proxy.ts';

const MIB = 1024 ** 2;
const CLI = fileURLToPath(new URL('../../src-main/shells/cli/main.ts', import.meta.url));
const small: DemoOptions = {
  mode: 'precopy',
  memoryBytes: 64 * MIB,
  cpus: 1,
  dirtyRate: 5000,
  workingSetBytes: 16 * MIB,
};
let home = '';
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'gw-'));
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function godwit(...args: string[]): Promise<Output> {
  return new Promise((resolve) => {
    const env = { ...process.env, GODWIT_HOME: home };
    execFile(process.execPath, [CLI, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

const demo = ['demo', '--memory', '64M', '--cpus', '1', '--dirty-rate', '20000', '--working-set', '16M', '--json'];

describe('godwit demo', () => {
  it('is recorded with its figures, samples and the events of both ends', async () => {
    const { code, stdout, stderr } = await godwit(...demo);
    expect([code, stderr]).toEqual([0, '']);
    const result = JSON.parse(stdout) as { source: Record<string, unknown>; events: { name: string; side: string }[] };
    const { runs } = JSON.parse((await godwit('history', '--json')).stdout) as { runs: { id: string }[] };
    expect(runs).toHaveLength(1);
    const shown = JSON.parse((await godwit('history', 'show', runs[0]!.id.slice(0, 8), '--json')).stdout) as {
      run: Record<string, unknown>;
      samples: number;
      events: { side: string; name: string; seq: number }[];
    };
    expect(shown.run).toMatchObject({
      id: runs[0]!.id,
      origin: 'demo',
      outcome: 'completed',
      error: null,
      totalTimeMs: result.source['total-time'],
      downtimeMs: result.source['downtime'],
      where: { guest: 'destination', runs: true },
    });
    expect(shown.samples).toBeGreaterThanOrEqual(1);
    const machines = shown.events.filter(({ side }) => side !== 'godwit');
    expect(machines.map(({ side, name }) => `${side} ${name}`).sort()).toEqual(
      result.events.map(({ side, name }) => `${side} ${name}`).sort(),
    );
    expect(shown.events.map(({ seq }) => seq)).toEqual(shown.events.map((_, index) => index + 1));
  });

  it('goes on, with one line on stderr and the same exit code, where nothing can be recorded', async () => {
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'data'), 'a file where the folder should be');
    const { code, stdout, stderr } = await godwit(...demo);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ verified: true });
    expect(stderr).toMatch(/^godwit: this run is not recorded: the history in [^\n]+\n$/);
  });
});

describe('a demo that does not complete', () => {
  async function recorded(
    options: DemoOptions,
    hooks: DemoHooks,
    check: (store: Store, id: string) => Promise<void>,
  ): Promise<unknown> {
    const store = await openStore({ path: join(home, 'data', 'godwit.db') });
    try {
      const problems: string[] = [];
      const recording = new DemoRecording(options, {
        store: Promise.resolve(store),
        onProblem: (problem) => problems.push(problem),
      });
      const outcome = await runDemo(options, { ...hooks, recording }).catch((error: unknown) => error);
      await recording.written();
      expect(problems).toEqual([]);
      if (recording.recordedId === undefined) throw new Error(`nothing is recorded: ${String(outcome)}`);
      await check(store, recording.recordedId);
      return outcome;
    } finally {
      await store.close();
    }
  }

  /** A demo whose link ends before the first pages arrive: the move can never complete. */
  async function withLink(
    effect: 'close' | 'stall',
    work: (options: DemoOptions) => Promise<unknown>,
  ): Promise<unknown> {
    const proxies: StreamProxy[] = [];
    const cutAt = { element: 'ram:PART', edge: 'before', effect } as const;
    const route = async (destination: string): Promise<string> => {
      const proxy = await startStreamProxy({ listen: `${destination}.proxy`, connect: destination, cutAt });
      proxies.push(proxy);
      return proxy.uri;
    };
    try {
      return await work({ ...small, route });
    } finally {
      await Promise.all(proxies.map((proxy) => proxy.close()));
    }
  }

  it('is recorded as cancelled when the user cancels it', async () => {
    const cancel = new AbortController();
    const hooks: DemoHooks = {
      signal: cancel.signal,
      onProgress: (progress) => {
        if (progress.phase === 'migrating' && (progress.migration?.pass ?? 0) >= 1) cancel.abort();
      },
    };
    const outcome = await withLink('stall', (options) =>
      recorded(options, hooks, async (store, id) => {
        const run = await store.getRun(id);
        expect(run).toMatchObject({ outcome: 'cancelled', where: { runs: true, guest: 'source' } });
        expect(run.error).toContain('cancelled; the guest was running on the source');
        expect(run.endedAt).not.toBeNull();
        expect(await store.countSamples(id)).toBeGreaterThanOrEqual(1);
      }),
    );
    expect(outcome).toBeInstanceOf(DemoError);
  });

  it('is recorded as failed, with where the guest is, when the link is cut', async () => {
    const hooks: DemoHooks = { signal: new AbortController().signal };
    const outcome = await withLink('close', (options) =>
      recorded(options, hooks, async (store, id) => {
        const run = await store.getRun(id);
        expect(run).toMatchObject({ outcome: 'failed', status: 'failed', where: { guest: 'source', runs: true } });
        expect(run.error).toContain('The guest still runs on the source');
        expect(run.steps.map(({ state }) => state)).toContain('failed');
      }),
    );
    expect(outcome).toBeInstanceOf(DemoError);
  });
});
