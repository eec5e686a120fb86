// SPDX-License-Identifier: Apache-2.0
/**
 * MTRR masks in the stream have the address bits that the CPU lacks set, up to bit 51, so that they mean the same on a
 * CPU that has them; on loading they are cut to the CPU's own, since KVM refuses more.
 */
const MAX_PHYSICAL_ADDRESS_BITS = 52;

interface MtrrRange {
  base: bigint;
  mask: bigint;
}

export function fillMasks(ranges: MtrrRange[], physicalAddressBits: number): void {
  const missing = (1n << BigInt(MAX_PHYSICAL_ADDRESS_BITS)) - (1n << BigInt(physicalAddressBits));
  for (const range of ranges) range.mask |= missing;
}

export function trimmedMasks(ranges: readonly MtrrRange[], physicalAddressBits: number): MtrrRange[] {
  const present = (1n << BigInt(physicalAddressBits)) - 1n;
  return ranges.map(({ base, mask }) => ({ base, mask: mask & present }));
}
