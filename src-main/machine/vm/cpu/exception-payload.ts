// SPDX-License-Identifier: Apache-2.0
import type { CpuState } from '../sections/cpu.ts';

const DEBUG_EXCEPTION = 1;
const PAGE_FAULT = 14;
/** DR6 bits that a debug exception clears first (the breakpoints hit), and those that read 1 when inactive. */
const DR6_TRAP_BITS = 0xfn;
const DR6_ACTIVE_LOW = 0xffff0ff0n;
/** Always 0. */
const DR6_RESERVED = 1n << 12n;

/** Stores an exception's payload where the guest finds it: debug status in DR6, a fault's address in CR2. */
export function deliverPayload(cpu: CpuState, exception: number, payload: bigint): void {
  if (exception === PAGE_FAULT) cpu.cr2 = payload;
  if (exception !== DEBUG_EXCEPTION) return;
  const dr6 =
    ((((cpu.dr[6] ?? 0n) & ~DR6_TRAP_BITS) | DR6_ACTIVE_LOW | payload) ^ (payload & DR6_ACTIVE_LOW)) & ~DR6_RESERVED;
  cpu.dr[4] = dr6;
  cpu.dr[6] = dr6;
}
