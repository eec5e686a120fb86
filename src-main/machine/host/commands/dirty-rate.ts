// SPDX-License-Identifier: Apache-2.0
/** How fast the guest writes, and the limit that can be put on it. */
import { int, object, oneOf, optional, uint64 } from '../../../control/arguments.ts';
import { defineCommand, type CommandTable } from '../../../control/command.ts';
import { DIRTY_RATE_MODES, TIME_UNITS } from '../../engine/convergence/dirty-rate.ts';
import type { Machine } from '../../vm/machine.ts';
import { Refusal } from '../refusal.ts';
import { nothing, type CommandTargets } from './targets.ts';

export function dirtyRateCommands({ machine, dirtyRate }: CommandTargets): CommandTable {
  return {
    'calc-dirty-rate': defineCommand({
      arguments: object({
        'calc-time': int(),
        'calc-time-unit': optional(oneOf(TIME_UNITS)),
        'sample-pages': optional(int()),
        mode: optional(oneOf(DIRTY_RATE_MODES)),
      }),
      handler: ({ 'calc-time': calcTime, 'calc-time-unit': unit, 'sample-pages': samplePages, mode }) => {
        dirtyRate.start({
          calcTime: Number(calcTime),
          unit: unit ?? 'second',
          samplePages: samplePages === undefined ? undefined : Number(samplePages),
          mode: mode ?? 'page-sampling',
        });
        return undefined;
      },
    }),
    'query-dirty-rate': defineCommand({
      arguments: object({ 'calc-time-unit': optional(oneOf(TIME_UNITS)) }),
      handler: ({ 'calc-time-unit': unit }) => ({ ...dirtyRate.report(unit ?? 'second') }),
    }),
    'set-vcpu-dirty-limit': defineCommand({
      arguments: object({ 'cpu-index': optional(int()), 'dirty-rate': uint64() }),
      handler: ({ 'cpu-index': index }) => {
        // The stray quote is QEMU's.
        if (!machine.hasDirtyRing) {
          throw new Refusal("dirty page limit feature requires KVM with accelerator property 'dirty-ring-size' set'");
        }
        checkCpuIndex(machine, index);
        throw new Refusal('A limit on the dirty rate of vCPUs is not supported by this version of Godwit');
      },
    }),
    'cancel-vcpu-dirty-limit': defineCommand({
      arguments: object({ 'cpu-index': optional(int()) }),
      handler: ({ 'cpu-index': index }) => {
        if (machine.hasDirtyRing) checkCpuIndex(machine, index);
        return undefined;
      },
    }),
    'query-vcpu-dirty-limit': defineCommand({ arguments: nothing, handler: () => [] }),
  };
}

function checkCpuIndex(machine: Machine, index: number | bigint | undefined): void {
  if (index === undefined || (index >= 0 && index < (machine.vcpus?.count ?? 0))) return;
  throw new Refusal('incorrect cpu index specified');
}
