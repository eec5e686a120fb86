// SPDX-License-Identifier: Apache-2.0
/** struct kvm_xcrs of <asm/kvm.h>: a count, flags, and up to 16 pairs of a register's number and its value. */

export const KVM_XCRS_BYTES = 392;

const MAX_XCRS = 16;
const ENTRIES_OFFSET = 8;
const ENTRY_BYTES = 16;
/** XCR0 of a CPU without XSAVE, or fresh from reset: x87 only. */
const RESET_XCR0 = 1n;

export function parseXcr0(bytes: Buffer): bigint {
  const count = Math.min(bytes.readUInt32LE(0), MAX_XCRS);
  for (let index = 0; index < count; index++) {
    const offset = ENTRIES_OFFSET + index * ENTRY_BYTES;
    if (bytes.readUInt32LE(offset) === 0) return bytes.readBigUInt64LE(offset + 8);
  }
  return RESET_XCR0;
}

export function buildXcrs(xcr0: bigint): Buffer {
  const bytes = Buffer.alloc(KVM_XCRS_BYTES);
  bytes.writeUInt32LE(1, 0);
  bytes.writeBigUInt64LE(xcr0, ENTRIES_OFFSET + 8);
  return bytes;
}
