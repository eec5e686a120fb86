// SPDX-License-Identifier: Apache-2.0
import type { CpuidEntry } from '../../../src-main/machine/native/index.ts';
import type { Random } from '../vmstate/seeded.ts';

type Row = readonly [leaf: number, index: number, eax: number, ebx: number, ecx: number, edx: number];

const INDEXED = new Set([0x04, 0x07, 0x0b, 0x0d]);

function entries(rows: readonly Row[]): CpuidEntry[] {
  return rows.map(([leaf, index, eax, ebx, ecx, edx]) => ({
    ...{ function: leaf, index, flags: INDEXED.has(leaf) ? 1 : 0 },
    ...{ eax: eax >>> 0, ebx: ebx >>> 0, ecx: ecx >>> 0, edx: edx >>> 0 },
  }));
}

const AMD: Row = [0, 0, 0x10, 0x68747541, 0x444d4163, 0x69746e65];
const INTEL: Row = [0, 0, 0x20, 0x756e6547, 0x6c65746e, 0x49656e69];

/** What KVM with software page tables offers on an EPYC: no XSAVE, though leaf 0Dh lists components. */
export const EPYC_WITHOUT_XSAVE = entries([
  AMD,
  [1, 0, 0x00a10f11, 0x01020800, 0x81202000, 0x078bfbff],
  [7, 0, 0x00000001, 0x01800002, 0x00000104, 0x20000000],
  [7, 1, 0, 0, 0, 0],
  [0x0d, 0, 0xe7, 0x980, 0x980, 0],
  [0x0d, 2, 0x100, 0x240, 0, 0],
  [0x0d, 5, 0x40, 0x340, 0, 0],
  [0x0d, 6, 0x200, 0x380, 0, 0],
  [0x0d, 7, 0x400, 0x580, 0, 0],
  [0x80000000, 0, 0x80000021, 0x68747541, 0x444d4163, 0x69746e65],
  [0x80000001, 0, 0x00a10f11, 0x40000000, 0x00400393, 0x23d3fbff],
  [0x80000008, 0, 0x00003030, 0x50020005, 0x00007001, 0],
]);

/** A host with every bit of every feature leaf set, and all components of Intel's XSAVE image. */
export const EVERYTHING = entries([
  INTEL,
  [1, 0, 0x000806f8, 0, -1, -1],
  [7, 0, 2, -1, -1, -1],
  [7, 1, -1, -1, -1, -1],
  [0x0d, 0, 0x602ff, 0x2b00, 0x2b00, 0],
  [0x0d, 1, 0x1f, 0, 0x1900, 0],
  [0x0d, 2, 0x100, 0x240, 0, 0],
  [0x0d, 3, 0x40, 0x3c0, 0, 0],
  [0x0d, 4, 0x40, 0x400, 0, 0],
  [0x0d, 5, 0x40, 0x440, 0, 0],
  [0x0d, 6, 0x200, 0x480, 0, 0],
  [0x0d, 7, 0x400, 0x680, 0, 0],
  [0x0d, 9, 0x8, 0xa80, 0, 0],
  [0x0d, 17, 0x40, 0xac0, 2, 0],
  [0x0d, 18, 0x2000, 0xb00, 6, 0],
  [0x80000000, 0, 0x80000008, 0, 0, 0],
  [0x80000001, 0, 0, 0, -1, -1],
  [0x80000002, 0, 0x74736554, 0x55504320, 0, 0],
  [0x80000003, 0, 0, 0, 0, 0],
  [0x80000004, 0, 0, 0, 0, 0],
  [0x80000007, 0, -1, -1, -1, -1],
  [0x80000008, 0, 0x00003934, -1, -1, -1],
]);

/** A host that has some of the features. */
export function someHost(random: Random): CpuidEntry[] {
  const feature = new Set([1, 7, 0x80000001, 0x80000008]);
  return EVERYTHING.map((entry) => {
    if (entry.function === 0x0d && entry.index === 0) return { ...entry, eax: 3 | (random.word() & entry.eax) };
    if (!feature.has(entry.function) || entry.function === 0x80000008) return entry;
    const some = (word: number) => (word & random.word()) >>> 0;
    return { ...entry, ebx: some(entry.ebx), ecx: some(entry.ecx), edx: some(entry.edx) };
  });
}
