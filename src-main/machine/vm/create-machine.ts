// SPDX-License-Identifier: Apache-2.0
/** Builds a machine from its settings: memory first (populated, which takes the longest), then vCPUs, then a guest. */
import type { RunState } from '../../../src-shared/migration/status.ts';
import { MigrationError } from '../engine/errors.ts';
import { uuidBytes } from '../engine/stream/configuration-reader.ts';
import { native, type GuestMemory, type MemorySlot, type VirtualMachine } from '../native/index.ts';
import { buildCpuid } from './cpu/cpuid.ts';
import type { CpuModelName } from './cpu/cpu-models.ts';
import { cpuTraits } from './cpu/vcpu-state.ts';
import { cpuAndSerialDevices, globalStateDevice, timerDevice } from './devices.ts';
import { startDemoGuest, type DemoGuestSettings } from './guest/start-demo-guest.ts';
import { paceIntervalNs } from './guest/pace.ts';
import { loadFile, type FileToLoad } from './load-file.ts';
import { Machine, type MachineEvent } from './machine.ts';
import { memorySlots } from './memory-layout.ts';
import { MemoryWriter } from './memory-writer.ts';
import { VcpuSet } from './vcpu-set.ts';
import { VirtualClock } from './virtual-clock.ts';

export interface MachineSettings {
  readonly machine: 'none' | 'microvm';
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly cpu: CpuModelName;
  readonly guest: DemoGuestSettings | undefined;
  /** Files to put into RAM, in this order. */
  readonly load: readonly FileToLoad[];
  /** A guest will arrive by migration. */
  readonly incoming: object | undefined;
  /** A guest that arrives stays stopped until `cont`. */
  readonly paused: boolean;
  readonly hugePageBytes: number | undefined;
  readonly dirtyRingSize: number | undefined;
  readonly uuid?: string | undefined;
  /** Absent: the stream has all of its parts. */
  readonly streamForm?: Machine['streamForm'];
  /** Serial output goes here; the machine keeps a duplicate. */
  readonly serialFd?: number;
  readonly onEvent: (event: MachineEvent) => void;
  /** A vCPU cannot go on; one sentence. */
  readonly onCrash: (sentence: string) => void;
}

/** Builds the machine, stopped: `inmigrate` when a guest is awaited, else `prelaunch`. */
export async function createMachine(settings: MachineSettings): Promise<Machine> {
  if (settings.machine === 'microvm' && settings.guest === undefined && settings.incoming === undefined) {
    throw new MigrationError(
      'unsupported',
      'A microvm needs something to run: give it --guest demo, or --incoming defer to receive a guest',
    );
  }
  if (settings.machine === 'none' && settings.guest !== undefined) {
    throw new MigrationError('unsupported', '--guest needs vCPUs: machine none has only RAM, use --machine microvm');
  }
  if (settings.machine === 'microvm' && settings.load.length > 0) {
    throw new MigrationError(
      'unsupported',
      '--load needs --machine none: the demo guest of a microvm owns all of its RAM',
    );
  }
  const memory = new native.GuestMemory({
    name: settings.machine === 'microvm' ? 'microvm.ram' : 'ram',
    sizeBytes: settings.memoryBytes,
    ...(settings.hugePageBytes !== undefined && { hugePageBytes: settings.hugePageBytes }),
  });
  try {
    await memory.populate();
    return settings.machine === 'microvm' ? await createMicrovm(settings, memory) : await createNone(settings, memory);
  } catch (error) {
    memory.close();
    throw error;
  }
}

function commonParts(
  settings: MachineSettings,
  memory: GuestMemory,
  slots: readonly MemorySlot[],
  vm?: VirtualMachine,
) {
  const clock = new VirtualClock(() => native.monotonicNs());
  const initialRunState: RunState = settings.incoming === undefined ? 'prelaunch' : 'inmigrate';
  return {
    machineType: settings.machine,
    streamForm: settings.streamForm ?? { sendConfiguration: true, sendSectionFooter: true, storeGlobalState: true },
    uuid: settings.uuid === undefined ? undefined : uuidBytes(settings.uuid),
    ramBlocks: [
      {
        name: memory.name,
        sizeBytes: memory.sizeBytes,
        guestAddress: slots[0]?.guestAddress ?? 0,
        memory,
        ...(vm && { machine: vm }),
      },
    ],
    slots,
    clock,
    globalState: globalStateDevice,
    initialRunState,
    autostart: !settings.paused,
    onEvent: settings.onEvent,
  };
}

/** RAM without vCPUs, like QEMU's machine of that name. */
async function createNone(settings: MachineSettings, memory: GuestMemory): Promise<Machine> {
  const slots = [{ guestAddress: 0, offset: 0, sizeBytes: memory.sizeBytes }];
  for (const file of settings.load) await loadFile(file, memory, slots);
  const parts = commonParts(settings, memory, slots);
  return new Machine({ ...parts, devices: [timerDevice(parts.clock)], writer: new MemoryWriter(memory) });
}

async function createMicrovm(settings: MachineSettings, memory: GuestMemory): Promise<Machine> {
  const slots = memorySlots(settings.memoryBytes);
  const hostCpuid = native.supportedCpuid();
  const lastSlot = slots[slots.length - 1];
  const cpuid = buildCpuid(settings.cpu, hostCpuid, {
    vcpus: settings.cpus,
    memoryBytes: lastSlot === undefined ? 0 : lastSlot.guestAddress + lastSlot.sizeBytes,
  });
  // The machine exists only after its vCPUs do; a vCPU cannot crash before it is started.
  const created: { machine?: Machine } = {};
  const vm = new native.VirtualMachine({
    memory,
    slots,
    vcpus: settings.cpus,
    cpuid: cpuid.entries,
    paceIntervalNs: paceIntervalNs(settings.cpus),
    ...(settings.serialFd !== undefined && { serialFd: settings.serialFd }),
    ...(settings.dirtyRingSize !== undefined && { dirtyRingSize: settings.dirtyRingSize }),
    onCrash: (crash) => {
      settings.onCrash(`vCPU ${crash.vcpu} cannot go on: ${crash.reason} (${crash.detail})`);
      created.machine?.crashed();
    },
  });
  try {
    const vcpus = new VcpuSet(vm, cpuid, cpuTraits(hostCpuid, cpuid.entries));
    await vcpus.rehearse();
    const parts = commonParts(settings, memory, slots, vm);
    const machine = new Machine({
      ...parts,
      devices: [timerDevice(parts.clock), ...cpuAndSerialDevices(vcpus)],
      vcpus,
    });
    created.machine = machine;
    if (settings.guest !== undefined) await startDemoGuest(settings.guest, { memory, vcpus, cpuid });
    return machine;
  } catch (error) {
    await vm.close();
    throw error;
  }
}
