// SPDX-License-Identifier: Apache-2.0
/** The devices of our machines, each as its section's table and two directions. */
import { isRunState, type RunState } from '../../../src-shared/migration/status.ts';
import { MigrationError } from '../engine/errors.ts';
import { defineDevice, savedSection, type Device } from './device.ts';
import { cpuCommonTable } from './sections/cpu-common.ts';
import { cpuTable } from './sections/cpu.ts';
import {
  globalStateSection,
  globalStateSection90,
  globalStateTable,
  globalStateTable90,
  readGlobalState,
} from './sections/globalstate.ts';
import { sectionToSerial, serialTable, serialToSection } from './sections/serial.ts';
import { timerTable } from './sections/timer.ts';
import type { VcpuSet } from './vcpu-set.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** Base of the virtual clock. */
export function timerDevice(clock: VirtualClock): Device {
  let ticksOffset = 0n;
  return defineDevice(timerTable, {
    save: () => ({ cpuTicksOffset: ticksOffset, cpuClockOffset: clock.nanoseconds }),
    load: (state) => {
      ticksOffset = state.cpuTicksOffset;
      clock.set(state.cpuClockOffset);
    },
  });
}

/** `cpu_common` and `cpu` of each vCPU, then the serial port. */
export function cpuAndSerialDevices(vcpus: VcpuSet): Device[] {
  const cpus = Array.from({ length: vcpus.count }, (_, index) => [
    cpuCommonDevice(vcpus, index),
    cpuDevice(vcpus, index),
  ]);
  return [...cpus.flat(), serialDevice(vcpus)];
}

function cpuCommonDevice(vcpus: VcpuSet, index: number): Device {
  return defineDevice(cpuCommonTable, {
    instanceId: index,
    save: () => stateRead(vcpus.slot(index).cpuCommon, index),
    load: (state) => {
      vcpus.slot(index).cpuCommon = state;
    },
  });
}

function cpuDevice(vcpus: VcpuSet, index: number): Device {
  return defineDevice(cpuTable, {
    instanceId: index,
    save: () => stateRead(vcpus.slot(index).cpu, index),
    load: (state) => {
      vcpus.slot(index).cpu = state;
    },
  });
}

function stateRead<S>(state: S | undefined, index: number): S {
  if (state === undefined) throw new MigrationError('machine', `internal: the state of vCPU ${index} was not read`);
  return state;
}

function serialDevice(vcpus: VcpuSet): Device {
  return defineDevice(serialTable, {
    save: () => serialToSection(vcpus.serial),
    load: (section) => {
      const { port, losses } = sectionToSerial(section);
      if (losses.length > 0) {
        throw new MigrationError('stream', `The serial port of this machine has no room for ${losses.join(' and ')}`);
      }
      vcpus.serial = port;
    },
  });
}

/** The machine's run state: what it was when the guest was stopped, what it becomes when the guest has arrived. */
export function globalStateDevice(access: {
  readonly current: () => RunState;
  readonly received: (state: RunState) => void;
}): Device {
  const device = defineDevice(globalStateTable, {
    save: () => globalStateSection(access.current()),
    load: (section) => {
      const { runState } = readGlobalState(section);
      access.received(isRunState(runState) ? runState : 'paused');
    },
  });
  const { idstr, instanceId } = device;
  return {
    ...device,
    save: (dialect) =>
      dialect.globalStateSuspended
        ? savedSection(globalStateTable90, idstr, instanceId, globalStateSection90(access.current()))
        : device.save(dialect),
  };
}
