// SPDX-License-Identifier: Apache-2.0
/** struct kvm_regs of <asm/kvm.h>: 18 little-endian quads, not in encoding order. */

export const KVM_REGS_BYTES = 144;

/** Registers in the order of their encodings in instructions. */
export const REGISTER_NAMES = [
  'rax',
  'rcx',
  'rdx',
  'rbx',
  'rsp',
  'rbp',
  'rsi',
  'rdi',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
] as const;

export type RegisterName = (typeof REGISTER_NAMES)[number];

/** Offset of each register of {@link REGISTER_NAMES}: the structure holds rax rbx rcx rdx rsi rdi rsp rbp r8–r15. */
const OFFSETS = [0, 16, 24, 8, 48, 56, 32, 40, 64, 72, 80, 88, 96, 104, 112, 120];
const RIP_OFFSET = 128;
const RFLAGS_OFFSET = 136;

export interface GeneralRegisters {
  /** In encoding order. */
  readonly regs: readonly bigint[];
  readonly rip: bigint;
  readonly rflags: bigint;
}

export function parseRegs(bytes: Buffer): { regs: bigint[]; rip: bigint; rflags: bigint } {
  return {
    regs: OFFSETS.map((offset) => bytes.readBigUInt64LE(offset)),
    rip: bytes.readBigUInt64LE(RIP_OFFSET),
    rflags: bytes.readBigUInt64LE(RFLAGS_OFFSET),
  };
}

export function buildRegs({ regs, rip, rflags }: GeneralRegisters): Buffer {
  const bytes = Buffer.alloc(KVM_REGS_BYTES);
  OFFSETS.forEach((offset, index) => bytes.writeBigUInt64LE(regs[index] ?? 0n, offset));
  bytes.writeBigUInt64LE(rip, RIP_OFFSET);
  bytes.writeBigUInt64LE(rflags, RFLAGS_OFFSET);
  return bytes;
}
