// SPDX-License-Identifier: Apache-2.0
/**
 * The guest's descriptor page. The guest works at CPL 3, since some KVMs run only that at full speed; the I/O bitmap of
 * its TSS opens the serial and the pace port, and one gate leads back to CPL 0 for MSRs and debug registers.
 */
import {
  DESCRIPTOR_ADDRESS,
  GDT_OFFSET,
  IDT_OFFSET,
  IO_BITMAP_BYTES,
  IO_BITMAP_OFFSET,
  PACE_PORT,
  PAGE_SIZE,
  PRIVATE_SERVICE_STACK,
  SELECTOR_FIRST_TSS,
  SELECTOR_KERNEL_CODE,
  SELECTOR_KERNEL_DATA,
  SELECTOR_USER_CODE,
  SELECTOR_USER_DATA,
  SERIAL_PORT,
  SERVICE_ADDRESS,
  SERVICE_VECTOR,
  TSS_OFFSET,
  TSS_SIZE,
} from './layout.ts';
import type { OwnPages } from './layout.ts';

/** Flat segments with their accessed bits set, so that loading them writes nothing. */
const KERNEL_CODE = 0x00af9b000000ffffn;
const KERNEL_DATA = 0x00cf93000000ffffn;
const USER_CODE = 0x00affb000000ffffn;
const USER_DATA = 0x00cff3000000ffffn;

const INTERRUPT_GATE_FOR_CPL3 = 0xee;
const TSS_AVAILABLE = 0x89;
const TSS_BUSY = 0x8b;
const TSS_RSP0 = 4;
const TSS_IO_BITMAP = 102;
const RPL_MASK = 3;

/** The page as the loader writes it: task states available. */
export function buildDescriptorPage(own: OwnPages, vcpus: number): Uint8Array {
  const page = new Uint8Array(PAGE_SIZE);
  const view = new DataView(page.buffer);

  const gate = IDT_OFFSET + SERVICE_VECTOR * 16;
  view.setUint16(gate, SERVICE_ADDRESS, true);
  view.setUint16(gate + 2, SELECTOR_KERNEL_CODE, true);
  view.setUint8(gate + 5, INTERRUPT_GATE_FOR_CPL3);

  const segment = (selector: number, descriptor: bigint) =>
    view.setBigUint64(GDT_OFFSET + (selector & ~RPL_MASK), descriptor, true);
  segment(SELECTOR_KERNEL_CODE, KERNEL_CODE);
  segment(SELECTOR_KERNEL_DATA, KERNEL_DATA);
  segment(SELECTOR_USER_DATA, USER_DATA);
  segment(SELECTOR_USER_CODE, USER_CODE);
  for (let vcpu = 0; vcpu < vcpus; vcpu += 1) writeTaskState(view, own, vcpu);

  page.fill(0xff, IO_BITMAP_OFFSET, IO_BITMAP_OFFSET + IO_BITMAP_BYTES);
  openPorts(page, SERIAL_PORT, 8);
  openPorts(page, PACE_PORT, 4);
  return page;
}

/** What loading the task registers (LTR) makes of the page at `offset`. */
export function markTaskStatesBusy(view: DataView, offset: number, vcpus: number): void {
  for (let vcpu = 0; vcpu < vcpus; vcpu += 1) {
    view.setUint8(offset + GDT_OFFSET + SELECTOR_FIRST_TSS + vcpu * 16 + 5, TSS_BUSY);
  }
}

function writeTaskState(view: DataView, own: OwnPages, vcpu: number): void {
  const offset = TSS_OFFSET + vcpu * TSS_SIZE;
  const bitmap = IO_BITMAP_OFFSET - offset;
  const stack = (own.firstPrivate + vcpu) * PAGE_SIZE + PRIVATE_SERVICE_STACK;
  view.setBigUint64(offset + TSS_RSP0, BigInt(stack), true);
  view.setUint16(offset + TSS_IO_BITMAP, bitmap, true);

  const descriptor = GDT_OFFSET + SELECTOR_FIRST_TSS + vcpu * 16;
  const base = DESCRIPTOR_ADDRESS + offset;
  view.setUint16(descriptor, bitmap + IO_BITMAP_BYTES - 1, true);
  view.setUint16(descriptor + 2, base & 0xffff, true);
  view.setUint8(descriptor + 4, base >> 16);
  view.setUint8(descriptor + 5, TSS_AVAILABLE);
}

/** Clears the bits of `count` ports: CPL 3 may use them. */
function openPorts(page: Uint8Array, first: number, count: number): void {
  for (let port = first; port < first + count; port += 1) {
    const at = IO_BITMAP_OFFSET + (port >> 3);
    page[at] = (page[at] ?? 0) & ~(1 << (port & 7));
  }
}
