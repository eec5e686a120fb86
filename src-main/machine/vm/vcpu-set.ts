// SPDX-License-Identifier: Apache-2.0
/** The vCPUs of one machine: their threads, and their state on its way between KVM and the `cpu` sections. */
import { plainText } from '../../../src-shared/plain-text.ts';
import { MigrationError } from '../engine/errors.ts';
import { describeSection } from '../engine/vmstate/describe.ts';
import { loadSectionFromBytes } from '../engine/vmstate/load.ts';
import { saveSection } from '../engine/vmstate/save.ts';
import type { SerialState, VcpuHeartbeats, VcpuState, VirtualMachine } from '../native/index.ts';
import type { BuiltCpuid } from './cpu/cpuid.ts';
import { checkStateAgainstModel } from './cpu/state-check.ts';
import { migratedMsrs, sectionsToVcpu, vcpuToSections, type CpuTraits } from './cpu/vcpu-state.ts';
import type { CpuCommonState } from './sections/cpu-common.ts';
import { cpuTable, type CpuState } from './sections/cpu.ts';

/** So many that the engine has compiled what it runs: measured, the mapping then takes 1 ms instead of 12. */
const rehearsalRounds = 3;

/** Sections of one vCPU: saved from it, or loaded for it. */
interface VcpuSlot {
  cpuCommon?: CpuCommonState;
  cpu?: CpuState;
}

export class VcpuSet {
  readonly #vm: VirtualMachine;
  readonly #model: BuiltCpuid;
  readonly #traits: CpuTraits;
  readonly #msrs: readonly number[];
  readonly #slots: VcpuSlot[];

  constructor(vm: VirtualMachine, model: BuiltCpuid, traits: CpuTraits) {
    this.#vm = vm;
    this.#model = model;
    this.#traits = traits;
    this.#msrs = migratedMsrs(traits.mcgCap);
    this.#slots = Array.from({ length: vm.vcpus }, () => ({}));
  }

  get count(): number {
    return this.#vm.vcpus;
  }

  get threadIds(): number[] {
    return this.#vm.threadIds();
  }

  get hasDirtyRing(): boolean {
    return this.#vm.dirtyRingCounts().length > 0;
  }

  get heartbeats(): VcpuHeartbeats[] {
    return this.#vm.heartbeats();
  }

  /** The last serial output; control sequences are kept: whoever shows it escapes it. */
  get serialTail(): string {
    return this.#vm.serialTail().toString('latin1');
  }

  get serial(): SerialState {
    return this.#vm.serialState();
  }

  set serial(state: SerialState) {
    this.#vm.setSerialState(state);
  }

  start(): void {
    this.#vm.start();
  }

  /** Resolves when every vCPU is parked. */
  async stop(): Promise<void> {
    await this.#vm.stop();
  }

  async close(): Promise<void> {
    await this.#vm.close();
  }

  /** Puts a vCPU into a given state, for a guest that starts here. */
  async setState(index: number, build: (fresh: VcpuState) => VcpuState): Promise<void> {
    const state = build(await this.#vm.getVcpuState(index, this.#msrs));
    await this.#vm.setVcpuState(index, state);
  }

  /**
   * Takes the state of vCPU 0 through everything that a migration does with it, without changing it: what this KVM's
   * state cannot go through shows now, and the first pause does not pay for code that runs for the first time.
   */
  async rehearse(): Promise<void> {
    const state = await this.#vm.getVcpuState(0, this.#msrs);
    const { cpuCommon, cpu } = vcpuToSections(state, this.#traits);
    for (let round = 0; round < rehearsalRounds; round += 1) {
      const payload = saveSection(cpuTable, cpu);
      describeSection(cpuTable, cpuTable.name, 0, cpu);
      const loaded = await loadSectionFromBytes(cpuTable, payload, cpuTable.version);
      checkStateAgainstModel(loaded, this.#model);
      vcpuToSections(sectionsToVcpu(cpuCommon, loaded, state, this.#traits), this.#traits);
    }
  }

  /** Reads every vCPU's state for saving. Fails when a vCPU holds something that the stream cannot carry. */
  async readState(): Promise<void> {
    for (const [index, slot] of this.#slots.entries()) {
      const { cpuCommon, cpu, losses } = vcpuToSections(await this.#vm.getVcpuState(index, this.#msrs), this.#traits);
      if (losses.length > 0) {
        throw new MigrationError(
          'machine',
          `vCPU ${index} holds what the stream cannot carry: ${losses.join(', ')}. Try again`,
        );
      }
      slot.cpuCommon = cpuCommon;
      slot.cpu = cpu;
    }
  }

  /** Puts the loaded sections into the vCPUs. Fails when one is missing, or needs what this CPU model lacks. */
  async writeState(): Promise<void> {
    for (const [index, { cpuCommon, cpu }] of this.#slots.entries()) {
      if (cpuCommon === undefined || cpu === undefined) {
        throw new MigrationError(
          'stream',
          `The stream has no state for vCPU ${index}: the source has fewer than ${this.count} vCPUs, start the destination with as many`,
        );
      }
      const missing = checkStateAgainstModel(cpu, this.#model);
      if (missing.length > 0) {
        throw new MigrationError(
          'stream',
          `The guest uses CPU features that this machine's CPU model lacks: ${missing.join(', ')}. Start the destination with the source's --cpu model`,
        );
      }
      const fresh = await this.#vm.getVcpuState(index, this.#msrs);
      await this.#vm
        .setVcpuState(index, sectionsToVcpu(cpuCommon, cpu, fresh, this.#traits))
        .catch((error: unknown) => {
          throw new MigrationError('machine', `KVM refused the state of vCPU ${index}: ${plainText(String(error))}`);
        });
    }
  }

  /** The section state of one vCPU, as last read or loaded. */
  slot(index: number): VcpuSlot {
    const slot = this.#slots[index];
    if (slot === undefined) throw new RangeError(`there is no vCPU ${index}`);
    return slot;
  }
}
