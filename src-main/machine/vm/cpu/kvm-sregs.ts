// SPDX-License-Identifier: Apache-2.0
/** struct kvm_sregs of <asm/kvm.h>: segments, descriptor tables, control registers, EFER. */

export const KVM_SREGS_BYTES = 312;

/** struct kvm_segment; all attributes are small numbers. */
export interface KvmSegment {
  readonly base: bigint;
  readonly limit: number;
  readonly selector: number;
  readonly type: number;
  readonly present: number;
  readonly dpl: number;
  readonly db: number;
  readonly s: number;
  readonly l: number;
  readonly g: number;
  readonly avl: number;
  readonly unusable: number;
}

export interface DescriptorTable {
  readonly base: bigint;
  readonly limit: number;
}

export interface SpecialRegisters {
  readonly cs: KvmSegment;
  readonly ds: KvmSegment;
  readonly es: KvmSegment;
  readonly fs: KvmSegment;
  readonly gs: KvmSegment;
  readonly ss: KvmSegment;
  readonly tr: KvmSegment;
  readonly ldt: KvmSegment;
  readonly gdt: DescriptorTable;
  readonly idt: DescriptorTable;
  readonly cr0: bigint;
  readonly cr2: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly cr8: bigint;
  readonly efer: bigint;
  readonly apicBase: bigint;
  /** Four quads, bit n: interrupt n is being delivered. */
  readonly interruptBitmap: readonly bigint[];
}

const SEGMENT_BYTES = 24;
const SEGMENTS = ['cs', 'ds', 'es', 'fs', 'gs', 'ss', 'tr', 'ldt'] as const;
const SEGMENT_ATTRIBUTES = ['type', 'present', 'dpl', 'db', 's', 'l', 'g', 'avl', 'unusable'] as const;
const ATTRIBUTES_OFFSET = 14;
const GDT_OFFSET = SEGMENTS.length * SEGMENT_BYTES;
const IDT_OFFSET = GDT_OFFSET + 16;
const QUADS_OFFSET = IDT_OFFSET + 16;
const QUADS = ['cr0', 'cr2', 'cr3', 'cr4', 'cr8', 'efer', 'apicBase'] as const;
const BITMAP_OFFSET = QUADS_OFFSET + QUADS.length * 8;
const BITMAP_QUADS = 4;

export function parseSregs(bytes: Buffer): SpecialRegisters {
  const segment = (index: number) => parseSegment(bytes, index * SEGMENT_BYTES);
  const quad = (index: number) => bytes.readBigUInt64LE(QUADS_OFFSET + index * 8);
  return {
    cs: segment(0),
    ds: segment(1),
    es: segment(2),
    fs: segment(3),
    gs: segment(4),
    ss: segment(5),
    tr: segment(6),
    ldt: segment(7),
    gdt: parseTable(bytes, GDT_OFFSET),
    idt: parseTable(bytes, IDT_OFFSET),
    cr0: quad(0),
    cr2: quad(1),
    cr3: quad(2),
    cr4: quad(3),
    cr8: quad(4),
    efer: quad(5),
    apicBase: quad(6),
    interruptBitmap: Array.from({ length: BITMAP_QUADS }, (_, i) => bytes.readBigUInt64LE(BITMAP_OFFSET + i * 8)),
  };
}

export function buildSregs(sregs: SpecialRegisters): Buffer {
  const bytes = Buffer.alloc(KVM_SREGS_BYTES);
  SEGMENTS.forEach((name, index) => writeSegment(bytes, index * SEGMENT_BYTES, sregs[name]));
  writeTable(bytes, GDT_OFFSET, sregs.gdt);
  writeTable(bytes, IDT_OFFSET, sregs.idt);
  QUADS.forEach((name, index) => bytes.writeBigUInt64LE(sregs[name], QUADS_OFFSET + index * 8));
  sregs.interruptBitmap.forEach((quad, index) => bytes.writeBigUInt64LE(quad, BITMAP_OFFSET + index * 8));
  return bytes;
}

function parseSegment(bytes: Buffer, offset: number): KvmSegment {
  const attribute = (index: number) => bytes.readUInt8(offset + ATTRIBUTES_OFFSET + index);
  return {
    base: bytes.readBigUInt64LE(offset),
    limit: bytes.readUInt32LE(offset + 8),
    selector: bytes.readUInt16LE(offset + 12),
    type: attribute(0),
    present: attribute(1),
    dpl: attribute(2),
    db: attribute(3),
    s: attribute(4),
    l: attribute(5),
    g: attribute(6),
    avl: attribute(7),
    unusable: attribute(8),
  };
}

function writeSegment(bytes: Buffer, offset: number, segment: KvmSegment): void {
  bytes.writeBigUInt64LE(segment.base, offset);
  bytes.writeUInt32LE(segment.limit, offset + 8);
  bytes.writeUInt16LE(segment.selector, offset + 12);
  SEGMENT_ATTRIBUTES.forEach((name, index) => bytes.writeUInt8(segment[name], offset + ATTRIBUTES_OFFSET + index));
}

function parseTable(bytes: Buffer, offset: number): DescriptorTable {
  return { base: bytes.readBigUInt64LE(offset), limit: bytes.readUInt16LE(offset + 8) };
}

function writeTable(bytes: Buffer, offset: number, table: DescriptorTable): void {
  bytes.writeBigUInt64LE(table.base, offset);
  bytes.writeUInt16LE(table.limit, offset + 8);
}
