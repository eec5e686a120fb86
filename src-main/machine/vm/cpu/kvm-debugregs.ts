// SPDX-License-Identifier: Apache-2.0
/** struct kvm_debugregs of <asm/kvm.h>: DR0–DR3, DR6, DR7. */

export const KVM_DEBUGREGS_BYTES = 128;

export interface DebugRegisters {
  /** DR0 to DR3. */
  readonly addresses: readonly bigint[];
  readonly dr6: bigint;
  readonly dr7: bigint;
}

export function parseDebugregs(bytes: Buffer): DebugRegisters {
  return {
    addresses: [0, 8, 16, 24].map((offset) => bytes.readBigUInt64LE(offset)),
    dr6: bytes.readBigUInt64LE(32),
    dr7: bytes.readBigUInt64LE(40),
  };
}

export function buildDebugregs({ addresses, dr6, dr7 }: DebugRegisters): Buffer {
  const bytes = Buffer.alloc(KVM_DEBUGREGS_BYTES);
  [0, 8, 16, 24].forEach((offset, index) => bytes.writeBigUInt64LE(addresses[index] ?? 0n, offset));
  bytes.writeBigUInt64LE(dr6, 32);
  bytes.writeBigUInt64LE(dr7, 40);
  return bytes;
}
