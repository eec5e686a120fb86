// SPDX-License-Identifier: Apache-2.0
import type { GuestMemory } from '../../native/index.ts';
import type { BuiltCpu } from '../cpu/cpu-models.ts';
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
