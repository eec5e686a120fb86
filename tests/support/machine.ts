// SPDX-License-Identifier: Apache-2.0
/** Real machine processes for tests. */
import { setTimeout as sleep } from 'node:timers/promises';
import { QmpClient } from '../../src-main/control/client.ts';
import type { QmpEvent } from '../../src-main/control/protocol.ts';
import { spawnMachine } from '../../src-main/manager/machines/builtin.ts';
import type { MachineProcess, MachineSpawnOptions } from '../../src-main/manager/machines/builtin.ts';
import { heartbeatsReply, migrateReply, statusReply } from '../../src-main/manager/machines/replies.ts';
import type { Heartbeats, MigrateReply } from '../../src-main/manager/machines/replies.ts';

const MIB = 1024 ** 2;
/** A test that waits longer than this for one thing has found a fault. */
const PATIENCE_MS = 30_000;
const LOOK_EVERY_MS = 10;

export interface TestMachine extends AsyncDisposable {
  readonly process: MachineProcess;
  readonly qmp: QmpClient;
  /** Every event so far. */
  readonly events: readonly QmpEvent[];
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  migration(): Promise<MigrateReply>;
  runState(): Promise<string>;
  heartbeats(): Promise<Heartbeats>;
  setCapabilities(...names: string[]): Promise<void>;
  /** Waits until `query-migrate` has one of these statuses. */
  untilStatus(...statuses: string[]): Promise<MigrateReply>;
  untilRunState(...states: string[]): Promise<string>;
  /** Ends the process and removes its folder. May be called again. */
  dispose(): Promise<void>;
}

/**
 * Starts a machine process and connects to it: by default a microvm of 64 MiB and one vCPU with the demo guest over
 * 16 MiB, or, with `incoming`, without a guest.
 */
export async function startMachine(options: Partial<MachineSpawnOptions> = {}): Promise<TestMachine> {
  const process = spawnMachine(withDefaults(options));
  try {
    await process.ready;
    const qmp = await QmpClient.connect(process.qmpPath, { timeoutMs: PATIENCE_MS, waitForSocketMs: PATIENCE_MS });
    return new RunningMachine(process, qmp);
  } catch (error) {
    await process.dispose();
    throw error;
  }
}

function withDefaults(options: Partial<MachineSpawnOptions>): MachineSpawnOptions {
  const machine = options.machine ?? 'microvm';
  const memoryBytes = options.memoryBytes ?? 64 * MIB;
  const workingSetBytes = Math.min(16 * MIB, memoryBytes / 4);
  const guest =
    machine === 'microvm' && options.incoming === undefined ? { dirtyRate: 2000, workingSetBytes } : undefined;
  return {
    name: options.incoming === undefined ? 'source' : 'destination',
    machine,
    memoryBytes,
    ...(machine === 'microvm' && { cpus: 1 }),
    ...(guest && { guest }),
    ...options,
  };
}

class RunningMachine implements TestMachine {
  readonly process: MachineProcess;
  readonly qmp: QmpClient;
  readonly events: QmpEvent[] = [];

  constructor(process: MachineProcess, qmp: QmpClient) {
    this.process = process;
    this.qmp = qmp;
    qmp.on('event', (event) => this.events.push(event));
  }

  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.qmp.execute(command, args, { timeoutMs: PATIENCE_MS });
  }

  async migration(): Promise<MigrateReply> {
    return migrateReply.parse(await this.execute('query-migrate'));
  }

  async runState(): Promise<string> {
    return statusReply.parse(await this.execute('query-status')).status;
  }

  async heartbeats(): Promise<Heartbeats> {
    return heartbeatsReply.parse(await this.execute('x-godwit-heartbeats'));
  }

  async setCapabilities(...names: string[]): Promise<void> {
    const capabilities = names.map((capability) => ({ capability, state: true }));
    await this.execute('migrate-set-capabilities', { capabilities });
  }

  untilStatus(...statuses: string[]): Promise<MigrateReply> {
    return until(
      `status ${statuses.join(' or ')}`,
      () => this.migration(),
      (info) => statuses.includes(info.status ?? ''),
    );
  }

  untilRunState(...states: string[]): Promise<string> {
    return until(
      `run state ${states.join(' or ')}`,
      () => this.runState(),
      (state) => states.includes(state),
    );
  }

  async dispose(): Promise<void> {
    await this.qmp.close();
    await this.process.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** Asks again and again until the answer is good; after 30 s the last answer is in the error. */
export async function until<T>(what: string, ask: () => Promise<T>, good: (answer: T) => boolean): Promise<T> {
  const began = performance.now();
  for (;;) {
    const answer = await ask();
    if (good(answer)) return answer;
    if (performance.now() - began > PATIENCE_MS) throw new Error(`no ${what}, but ${JSON.stringify(answer)}`);
    await sleep(LOOK_EVERY_MS);
  }
}
