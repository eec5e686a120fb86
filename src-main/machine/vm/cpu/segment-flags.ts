// SPDX-License-Identifier: Apache-2.0
/**
 * Segment registers in the stream carry the second word of their descriptor, masked to the attributes: type bits 8–11,
 * S 12, DPL 13–14, P 15, AVL 20, L 21, D/B 22, G 23. Limits are bytes, already expanded.
 */
import type { SegmentState } from '../sections/cpu.ts';
import type { DescriptorTable, KvmSegment } from './kvm-sregs.ts';

const ATTRIBUTES = [
  ['type', 8, 0xf],
  ['s', 12, 1],
  ['dpl', 13, 3],
  ['avl', 20, 1],
  ['l', 21, 1],
  ['db', 22, 1],
  ['g', 23, 1],
] as const;
const PRESENT = 1 << 15;

/** A segment that cannot be used is one that is not present; its other attributes are kept (SS.DPL is the CPL). */
export function segmentToSection(segment: KvmSegment): SegmentState {
  let flags = segment.present === 1 && segment.unusable === 0 ? PRESENT : 0;
  for (const [name, shift, mask] of ATTRIBUTES) flags |= (segment[name] & mask) << shift;
  return { selector: segment.selector, base: segment.base, limit: segment.limit, flags: flags >>> 0 };
}

export function sectionToSegment({ selector, base, limit, flags }: SegmentState): KvmSegment {
  const bits = (shift: number, mask: number) => (flags >>> shift) & mask;
  const present = (flags & PRESENT) === 0 ? 0 : 1;
  return {
    base,
    limit,
    selector: selector & 0xffff,
    type: bits(8, 0xf),
    present,
    dpl: bits(13, 3),
    db: bits(22, 1),
    s: bits(12, 1),
    l: bits(21, 1),
    g: bits(23, 1),
    avl: bits(20, 1),
    unusable: 1 - present,
  };
}

/** GDTR and IDTR: base and limit matter only. */
export function tableToSection({ base, limit }: DescriptorTable): SegmentState {
  return { selector: 0, base, limit, flags: 0 };
}

export function sectionToTable({ base, limit }: SegmentState): DescriptorTable {
  return { base, limit: limit & 0xffff };
}
