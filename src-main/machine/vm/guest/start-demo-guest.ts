// SPDX-License-Identifier: Apache-2.0
import type { GuestMemory } from '../../native/index.ts';
import type { BuiltCpuid } from '../cpu/cpuid.ts';
import { resetState } from '../cpu/reset-state.ts';
import type { VcpuSet } from '../vcpu-set.ts';
import { planDemoGuest } from './demo-guest.ts';
import { loadDemoGuestCode } from './guest-code.ts';

/** What the user may choose about the demo guest. */
export interface DemoGuestSettings {
  /** Pages a second, all vCPUs together. */
  readonly dirtyRate: number;
  readonly workingSetBytes: number;
  readonly seed: bigint;
}

/** Where the guest goes. */
export interface DemoGuestHost {
  readonly memory: GuestMemory;
  readonly vcpus: VcpuSet;
  readonly cpuid: BuiltCpuid;
}

/** Writes the demo guest into RAM and points every vCPU at it. Nothing runs yet. */
export async function startDemoGuest(
  settings: DemoGuestSettings,
  { memory, vcpus, cpuid }: DemoGuestHost,
): Promise<void> {
  const plan = planDemoGuest({
    memoryBytes: memory.sizeBytes,
    vcpus: vcpus.count,
    dirtyRatePagesPerSecond: settings.dirtyRate,
    workingSetBytes: settings.workingSetBytes,
    seed: settings.seed,
    avx: cpuid.features.includes('avx'),
    rdtscp: cpuid.features.includes('rdtscp'),
    code: loadDemoGuestCode(),
  });
  for (const { offset, bytes } of plan.writes) await memory.write(offset, bytes);
  for (const [index, start] of plan.entry.vcpus.entries()) {
    await vcpus.setState(index, (fresh) =>
      resetState(
        {
          rip: BigInt(start.rip),
          cr3: BigInt(plan.entry.cr3),
          registers: { rsp: BigInt(start.rsp), rdi: BigInt(start.rdi), rsi: BigInt(start.rsi) },
          xcr0: cpuid.xcr0,
        },
        fresh,
      ),
    );
  }
}
