// SPDX-License-Identifier: Apache-2.0
/**
 * One virtual machine: RAM, vCPUs (none for machine `none`), devices, run state. It is what the engine moves and what
 * the QMP commands act on. All changes of the run state happen here.
 */
import type { StreamDialect } from '../../../src-shared/migration/peer-release.ts';
import type { RunState } from '../../../src-shared/migration/status.ts';
import { MigrationError } from '../engine/errors.ts';
import type { EngineMachine, RamBlock, SavedSection } from '../engine/machine-interface.ts';
import type { ByteSource } from '../engine/vmstate/byte-source.ts';
import type { MemorySlot } from '../native/index.ts';
import type { Device } from './device.ts';
import type { MemoryWriter } from './memory-writer.ts';
import { canFollow, RunStateKeeper } from './run-state.ts';
import type { VcpuSet } from './vcpu-set.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** Name of the section of the run state. */
const GLOBAL_STATE = 'globalstate';

/** Run state changes that a QMP client hears of. */
export type MachineEvent = { readonly name: 'STOP' } | { readonly name: 'RESUME' };

export interface MachineParts {
  readonly machineType: string;
  readonly uuid?: Uint8Array | undefined;
  readonly streamForm: Machine['streamForm'];
  readonly ramBlocks: readonly RamBlock[];
  /** Where the first RAM block lies in guest physical memory. */
  readonly slots: readonly MemorySlot[];
  readonly clock: VirtualClock;
  /** In the order of their sections; `globalstate` excepted, which the machine adds last. */
  readonly devices: readonly Device[];
  /** Absent for a machine without vCPUs. */
  readonly vcpus?: VcpuSet;
  /** What runs where there are no vCPUs. */
  readonly writer?: MemoryWriter;
  /** Builds the `globalstate` device, whose state is the machine's run state. */
  readonly globalState: (access: { current: () => RunState; received: (state: RunState) => void }) => Device;
  readonly initialRunState: RunState;
  /** Whether a guest that arrives starts by itself. */
  readonly autostart: boolean;
  readonly onEvent: (event: MachineEvent) => void;
}

export class Machine implements EngineMachine {
  readonly machineType: string;
  readonly uuid: Uint8Array | undefined;
  readonly streamForm: {
    readonly sendConfiguration: boolean;
    readonly sendSectionFooter: boolean;
    /** The run state travels; without it a guest that arrives is taken for one that ran. */
    readonly storeGlobalState: boolean;
  };
  readonly ramBlocks: readonly RamBlock[];
  readonly slots: readonly MemorySlot[];
  readonly vcpus: VcpuSet | undefined;
  readonly writer: MemoryWriter | undefined;
  /** Whether a guest that arrives starts by itself: `-S` / `--paused` and `stop` clear it, `cont` sets it. */
  autostart: boolean;

  readonly #clock: VirtualClock;
  readonly #devices: readonly Device[];
  readonly #runState: RunStateKeeper;
  readonly #onEvent: (event: MachineEvent) => void;
  /** Run state to go back to when a migration fails after the guest was stopped for it. */
  #beforeMigration: RunState | undefined;
  /** Run state that arrived with the guest. */
  #received: RunState | undefined;
  #loaded = new Set<string>();
  #memoryReleased = false;

  constructor(parts: MachineParts) {
    this.machineType = parts.machineType;
    this.uuid = parts.uuid;
    this.streamForm = parts.streamForm;
    this.ramBlocks = parts.ramBlocks;
    this.slots = parts.slots;
    this.vcpus = parts.vcpus;
    this.writer = parts.writer;
    this.#clock = parts.clock;
    this.#onEvent = parts.onEvent;
    this.autostart = parts.autostart;
    this.#runState = new RunStateKeeper(parts.initialRunState);
    this.#devices = [
      ...parts.devices,
      parts.globalState({
        current: () => this.#beforeMigration ?? this.runState,
        received: (state) => {
          this.#received = state;
        },
      }),
    ];
  }

  get runState(): RunState {
    return this.#runState.state;
  }

  get running(): boolean {
    return this.runState === 'running';
  }

  /** KVM tracks dirty pages in a ring for each vCPU. */
  get hasDirtyRing(): boolean {
    return this.vcpus?.hasDirtyRing ?? false;
  }

  /** The guest has left and its memory was given back: nothing can run here. */
  get memoryReleased(): boolean {
    return this.#memoryReleased;
  }

  // --- verbs of the user

  /** Lets the guest run. */
  resume(): void {
    if (this.running) return;
    this.#runState.change('running');
    this.#clock.start();
    this.vcpus?.start();
    this.writer?.start();
    this.#onEvent({ name: 'RESUME' });
  }

  /** Stops the guest: `paused`, unless it is stopped already. */
  async pause(): Promise<void> {
    if (this.running) await this.#halt('paused');
  }

  /** A vCPU cannot go on: the guest is stopped for good, its state kept for inspection. */
  crashed(): void {
    if (!this.running) return;
    this.#runState.change('internal-error');
    this.#clock.stop();
    this.#onEvent({ name: 'STOP' });
  }

  /** Ends every thread. The machine cannot be used any more. */
  async close(): Promise<void> {
    await this.vcpus?.close();
    this.writer?.close();
    for (const block of this.ramBlocks) block.memory.close();
  }

  // --- verbs of a migration, source

  async stopForMigration(): Promise<void> {
    this.#beforeMigration = this.runState;
    if (this.running) await this.#halt('finish-migrate');
    // A vCPU may have crashed while it was being stopped; that state travels too.
    if (this.runState !== 'finish-migrate') {
      this.#beforeMigration = this.runState;
      this.#runState.change('finish-migrate');
    }
  }

  async resumeAfterMigration(): Promise<void> {
    const before = this.#beforeMigration;
    this.#beforeMigration = undefined;
    if (before === undefined) return;
    if (before === 'running') this.resume();
    else this.#runState.change(before);
    await Promise.resolve();
  }

  leaveAfterMigration(): void {
    this.#beforeMigration = undefined;
    this.#runState.change('postmigrate');
  }

  async releaseMemory(): Promise<void> {
    this.#memoryReleased = true;
    for (const block of this.ramBlocks) await block.memory.discard();
  }

  async saveSections(dialect: StreamDialect): Promise<SavedSection[]> {
    await this.vcpus?.readState();
    return this.#travelling.map((device) => device.save(dialect));
  }

  // --- verbs of a migration, destination

  async loadSection(idstr: string, instanceId: number, version: number, source: ByteSource): Promise<void> {
    const device = this.#devices.find((candidate) => candidate.idstr === idstr && candidate.instanceId === instanceId);
    if (device === undefined) {
      const name = idstr.replace(/[^\x20-\x7e]/g, '?');
      throw new MigrationError(
        'stream',
        `Unknown savevm section or instance '${name}' ${instanceId}. Make sure that your current VM setup matches your saved VM setup`,
      );
    }
    const key = `${idstr}/${instanceId}`;
    if (this.#loaded.has(key)) throw new MigrationError('stream', `Section '${idstr}' ${instanceId} came twice`);
    await device.load(source, version);
    this.#loaded.add(key);
  }

  async applyLoadedState(): Promise<void> {
    await this.vcpus?.writeState();
    this.#requireEverySection();
    this.#loaded = new Set();
  }

  takeOver(): void {
    const received = this.#received ?? (this.streamForm.storeGlobalState ? 'paused' : 'running');
    if (received === 'running' && this.autostart) this.resume();
    else this.#runState.change(received !== 'running' && canFollow(this.runState, received) ? received : 'paused');
  }

  holdLoaded(): void {
    this.#runState.change('paused');
    // From here an explicit `cont` is what starts the guest, whatever was asked for before.
    this.autostart = true;
  }

  /** Devices whose sections are sent, and must arrive. */
  get #travelling(): readonly Device[] {
    return this.streamForm.storeGlobalState
      ? this.#devices
      : this.#devices.filter(({ idstr }) => idstr !== GLOBAL_STATE);
  }

  /** A stream may end early where its end mark is by mistake: a guest without all of its devices must not run. */
  #requireEverySection(): void {
    const missing = this.#travelling.find(({ idstr, instanceId }) => !this.#loaded.has(`${idstr}/${instanceId}`));
    if (missing === undefined) return;
    throw new MigrationError(
      'stream',
      `The migration stream ended without section '${missing.idstr}' ${missing.instanceId}, which this machine has`,
    );
  }

  async #halt(next: RunState): Promise<void> {
    await this.vcpus?.stop();
    await this.writer?.stop();
    if (!this.running) return;
    this.#clock.stop();
    this.#runState.change(next);
    this.#onEvent({ name: 'STOP' });
  }
}
