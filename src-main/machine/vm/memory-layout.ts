// SPDX-License-Identifier: Apache-2.0
import type { MemorySlot } from '../native/index.ts';

/** RAM below the device window: microvm maps the block's first 3 GiB at 0. */
export const lowMemoryBytes = 0xc000_0000;
/** The rest of the block starts here. */
export const highMemoryBase = 0x1_0000_0000;

/** Guest physical slots of one RAM block of `sizeBytes`. */
export function memorySlots(sizeBytes: number): MemorySlot[] {
  const low = { guestAddress: 0, offset: 0, sizeBytes: Math.min(sizeBytes, lowMemoryBytes) };
  if (sizeBytes <= lowMemoryBytes) return [low];
  return [low, { guestAddress: highMemoryBase, offset: lowMemoryBytes, sizeBytes: sizeBytes - lowMemoryBytes }];
}

/** One contiguous piece of the RAM block. */
export interface BlockRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * Where [guestAddress, guestAddress + length) lies in the block; undefined when any of it is not RAM. A range never
 * spans two slots, since a hole lies between them.
 */
export function blockRange(slots: readonly MemorySlot[], guestAddress: number, length: number): BlockRange | undefined {
  const slot = slots.find(
    (candidate) =>
      guestAddress >= candidate.guestAddress && guestAddress + length <= candidate.guestAddress + candidate.sizeBytes,
  );
  return slot && { offset: slot.offset + (guestAddress - slot.guestAddress), length };
}
