// SPDX-License-Identifier: Apache-2.0
/**
 * Two real machine processes, a live demo guest in one, and a proxy between them. Tests steer it through QMP and look at
 * what both processes say of themselves.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { QmpClient } from '../../src-main/control/client.ts';
import {
  spawnMachine,
  type MachineProcess,
  type MachineSpawnOptions,
} from '../../src-main/manager/machines/builtin.ts';
import { heartbeatsReply, type Heartbeats } from '../../src-main/manager/machines/replies.ts';
import type { DestinationPhase, SourcePhase } from '../../src-shared/migration/ownership.ts';
import { startStreamProxy, type StreamProxy, type StreamProxyOptions } from './stream-proxy.ts';

const MIB = 1024 ** 2;
/** Generous: what is waited for takes milliseconds to seconds, and the box may be busy. */
const patienceMs = 30_000;

export interface RigOptions {
  /** `none`: memory that a thread of the process writes to while it runs, and no vCPU, so no KVM either. */
  readonly machine?: 'none' | 'microvm';
  readonly memoryBytes?: number;
  readonly cpus?: number;
  readonly cpu?: string;
  /** Pages a second. */
  readonly dirtyRate?: number;
  readonly workingSetBytes?: number;
  /** Of the source: entries of a ring. */
  readonly dirtyRingSize?: number;
  /** Of the destination. */
  readonly paused?: boolean;
  /** Bytes per second; 0 (the default here) for no limit. */
  readonly maxBandwidth?: number;
  readonly capabilities?: readonly string[];
  /** Puts a proxy between the ends. */
  readonly proxy?: (rig: MigrationRig) => Omit<StreamProxyOptions, 'listen' | 'connect'>;
}

/** One end: its process and a QMP connection to it. */
export class RigEnd {
  readonly process: MachineProcess;
  readonly qmp: QmpClient;
  readonly events: { readonly name: string; readonly data: Readonly<Record<string, unknown>> }[] = [];

  constructor(process: MachineProcess, qmp: QmpClient) {
    this.process = process;
    this.qmp = qmp;
    qmp.on('event', (event) => {
      this.events.push({ name: event.event, data: event.data ?? {} });
    });
  }

  async ask(name: string, args?: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
    return (await this.qmp.execute(name, args, { timeoutMs: patienceMs })) as Record<string, unknown>;
  }

  /** `gone` when the process has ended. */
  async runState(): Promise<string> {
    return String((await this.#askOrGone('query-status'))['status'] ?? 'gone');
  }

  async migration(): Promise<Record<string, unknown>> {
    return this.ask('query-migrate');
  }

  async phase(): Promise<{ phase: string; sentence: string }> {
    const reply = await this.#askOrGone('x-godwit-migration-phase');
    return { phase: String(reply['phase'] ?? 'gone'), sentence: String(reply['sentence'] ?? 'gone') };
  }

  async heartbeats(): Promise<Heartbeats> {
    return heartbeatsReply.parse(await this.ask('x-godwit-heartbeats'));
  }

  async serial(): Promise<string> {
    return String((await this.ask('x-godwit-serial-tail'))['text']);
  }

  /** Waits until every vCPU has beaten at least `beats` times since the process started. */
  async beating(beats = 2): Promise<Heartbeats> {
    return eventually(
      () => this.heartbeats(),
      (seen) => seen.vcpus.length > 0 && seen.vcpus.every((vcpu) => vcpu.count >= beats),
      'heartbeats on every vCPU',
    );
  }

  async #askOrGone(name: string): Promise<Record<string, unknown>> {
    try {
      return await this.ask(name);
    } catch (error) {
      if (this.process.lastWords() === '' && !(await isOver(this.process))) throw error;
      return {};
    }
  }
}

async function isOver(process: MachineProcess): Promise<boolean> {
  return Promise.race([process.exited.then(() => true), pause(2000, false)]);
}

export class MigrationRig {
  readonly #options: RigOptions;
  readonly #processes: MachineProcess[] = [];
  #source: RigEnd | undefined;
  #destination: RigEnd | undefined;
  #proxy: StreamProxy | undefined;

  private constructor(options: RigOptions) {
    this.#options = options;
  }

  /** Starts both machines; the guest runs and has begun to beat. */
  static async start(options: RigOptions = {}): Promise<MigrationRig> {
    const rig = new MigrationRig(options);
    try {
      await rig.#start();
      return rig;
    } catch (error) {
      await rig.dispose();
      throw error;
    }
  }

  get source(): RigEnd {
    if (this.#source === undefined) throw new Error('the rig has not been started');
    return this.#source;
  }

  get destination(): RigEnd {
    if (this.#destination === undefined) throw new Error('the rig has not been started');
    return this.#destination;
  }

  get proxy(): StreamProxy {
    if (this.#proxy === undefined) throw new Error('the rig has no proxy');
    return this.#proxy;
  }

  /** Issues `migrate`; the answer is the source's last status once the attempt is over. */
  async migrate(): Promise<string> {
    const over = this.outcome();
    await this.startMigration();
    return over;
  }

  /** Issues `migrate` and returns at once. */
  async startMigration(): Promise<void> {
    await this.source.ask('migrate', { uri: this.uri });
  }

  get uri(): string {
    return this.#proxy?.uri ?? this.#destinationUri;
  }

  /** The source's status when its attempt is over. Ask before `migrate`. */
  async outcome(): Promise<string> {
    const event = await this.source.qmp.waitForEvent(
      ({ event: name, data }) =>
        name === 'MIGRATION' && ['completed', 'failed', 'cancelled'].includes(String(data?.['status'])),
      { timeoutMs: patienceMs },
    );
    return String(event.data?.['status']);
  }

  /** Phases of both ends as they report them; a process that has ended is `gone`. */
  async phases(): Promise<{ source: SourcePhase; destination: DestinationPhase }> {
    const [source, destination] = await Promise.all([this.source.phase(), this.destination.phase()]);
    return { source: source.phase as SourcePhase, destination: destination.phase as DestinationPhase };
  }

  /** Which ends have a guest whose vCPUs run, as the processes say. */
  async running(): Promise<{ source: boolean; destination: boolean }> {
    const [source, destination] = await Promise.all([this.source.runState(), this.destination.runState()]);
    return { source: source === 'running', destination: destination === 'running' };
  }

  async dispose(): Promise<void> {
    await this.#proxy?.close().catch(() => undefined);
    await Promise.all([this.#source, this.#destination].map(async (end) => end?.qmp.close()));
    await Promise.all(this.#processes.map((machine) => machine.dispose()));
  }

  get #destinationUri(): string {
    return `unix:${join(this.destination.process.folder, 'migration.sock')}`;
  }

  async #start(): Promise<void> {
    const { dirtyRate = 5000, dirtyRingSize, paused, proxy, machine = 'microvm' } = this.#options;
    const [source, destination] = await Promise.all([
      this.#startEnd({
        ...this.#common,
        name: 'source',
        ...(machine === 'microvm' && { guest: { dirtyRate, workingSetBytes: this.#workingSetBytes } }),
        ...(dirtyRingSize !== undefined && { dirtyRingSize }),
      }),
      this.#startEnd({
        ...this.#common,
        name: 'destination',
        incoming: 'defer',
        ...(paused === true && { paused }),
      }),
    ]);
    this.#source = source;
    this.#destination = destination;
    const capabilities = (this.#options.capabilities ?? ['events', 'return-path']).map((capability) => ({
      capability,
      state: true,
    }));
    for (const end of [source, destination]) await end.ask('migrate-set-capabilities', { capabilities });
    await source.ask('migrate-set-parameters', { 'max-bandwidth': this.#options.maxBandwidth ?? 0 });
    await destination.ask('migrate-incoming', { uri: this.#destinationUri });
    if (proxy !== undefined) {
      this.#proxy = await startStreamProxy({
        listen: `unix:${join(source.process.folder, 'proxy.sock')}`,
        connect: this.#destinationUri,
        ...proxy(this),
      });
    }
    if (machine === 'microvm') await source.beating();
    else await source.ask('x-godwit-dirty', { 'pages-per-second': dirtyRate, 'working-set': this.#workingSetBytes });
  }

  get #memoryBytes(): number {
    return this.#options.memoryBytes ?? 64 * MIB;
  }

  get #workingSetBytes(): number {
    return this.#options.workingSetBytes ?? this.#memoryBytes / 4;
  }

  get #common(): Pick<MachineSpawnOptions, 'machine' | 'memoryBytes' | 'cpus' | 'cpu'> {
    const { machine = 'microvm', cpus = 1, cpu } = this.#options;
    if (machine === 'none') return { machine, memoryBytes: this.#memoryBytes };
    return { machine, memoryBytes: this.#memoryBytes, cpus, ...(cpu !== undefined && { cpu }) };
  }

  async #startEnd(options: MachineSpawnOptions): Promise<RigEnd> {
    const machine = spawnMachine(options);
    this.#processes.push(machine);
    await machine.ready;
    return new RigEnd(machine, await QmpClient.connect(machine.qmpPath, { timeoutMs: patienceMs }));
  }
}

/** Asks again until the answer is as wanted; fails with what was waited for and the last answer. */
export async function eventually<T>(
  ask: () => Promise<T>,
  wanted: (answer: T) => boolean,
  what: string,
  timeoutMs = patienceMs,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (performance.now() > deadline) {
      const seen = JSON.stringify(answer, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
      throw new Error(`waited ${timeoutMs / 1000} s for ${what}; last seen: ${seen}`);
    }
    await pause(20);
  }
}
