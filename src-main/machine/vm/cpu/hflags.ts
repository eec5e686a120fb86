// SPDX-License-Identifier: Apache-2.0
/**
 * The mode bits that the `cpu` section carries beside the registers that imply them. A KVM destination works them out
 * anew, except SMM; they are written for readers that take them as they are.
 */
import type { SpecialRegisters } from './kvm-sregs.ts';

export const HFLAG_INTERRUPT_SHADOW = 1 << 3;
export const HFLAG_SMM = 1 << 19;

const CS32 = 1 << 4;
const SS32 = 1 << 5;
const NONZERO_BASES = 1 << 6;
const PROTECTED = 1 << 7;
const LONG_MODE = 1 << 14;
const CS64 = 1 << 15;
const OSFXSR = 1 << 22;

/** RFLAGS bits that stand at the same place: TF, IOPL, VM. */
const RFLAGS_MASK = (1 << 8) | (3 << 12) | (1 << 17);
const RFLAGS_VM = 1 << 17;
const CR0_PE = 1;
/** CR0.MP, EM and TS stand eight bits further up. */
const CR0_FPU_MASK = 0x0e;
const CR0_FPU_SHIFT = 8;
const CR4_OSFXSR = 1n << 9n;
const EFER_LMA = 1n << 10n;

/** The bits that follow from the registers. Interrupt shadow and SMM are the caller's. */
export function derivedHflags(sregs: SpecialRegisters, rflags: bigint): number {
  const cr0 = Number(sregs.cr0 & 0xffffffffn);
  const flags = Number(rflags & 0xffffffffn);
  let hflags = sregs.ss.dpl;
  if ((cr0 & CR0_PE) !== 0) hflags |= PROTECTED;
  hflags |= (cr0 & CR0_FPU_MASK) << CR0_FPU_SHIFT;
  hflags |= flags & RFLAGS_MASK;
  if ((sregs.cr4 & CR4_OSFXSR) !== 0n) hflags |= OSFXSR;
  const longMode = (sregs.efer & EFER_LMA) !== 0n;
  if (longMode) hflags |= LONG_MODE;
  if (longMode && sregs.cs.l === 1) return hflags | CS32 | SS32 | CS64;
  if (sregs.cs.db === 1) hflags |= CS32;
  if (sregs.ss.db === 1) hflags |= SS32;
  const flat = (sregs.ds.base | sregs.es.base | sregs.ss.base) === 0n;
  const realMode = (cr0 & CR0_PE) === 0 || (flags & RFLAGS_VM) !== 0 || sregs.cs.db === 0;
  if (realMode || !flat) hflags |= NONZERO_BASES;
  return hflags;
}
