// SPDX-License-Identifier: Apache-2.0
/**
 * Where the demo guest keeps things: guest addresses, ports and offsets in its pages. The assembly has the same numbers
 * in assets/demo-guest/layout.inc; a unit test compares the two files name by name.
 */

export const PAGE_SIZE = 4096;
export const PARAMETER_ADDRESS = 0x1000;
export const CODE_ADDRESS = 0x2000;
export const CODE_PAGES = 3;
/** Where the gate of the service trap leads. */
export const SERVICE_ADDRESS = 0x2010;
export const DESCRIPTOR_ADDRESS = 0x5000;

/** RAM from this block page on is mapped from 4 GiB on: the last GiB below 4 GiB belongs to devices. */
export const HOLE_FIRST_PAGE = 0xc0000;
export const HOLE_PAGES = 0x40000;

export const SERIAL_PORT = 0x3f8;
export const PACE_PORT = 0x505;

/** Offsets in the descriptor page: IDT, GDT, one TSS per vCPU, and the I/O bitmap that all of them end in. */
export const IDT_OFFSET = 0x000;
export const IDT_LIMIT = 63; // vectors 0 to 3; only the service trap has a gate
export const SERVICE_VECTOR = 3; // int3
export const GDT_OFFSET = 0x040;
export const GDT_LIMIT = 295;
export const SELECTOR_KERNEL_CODE = 0x08;
export const SELECTOR_KERNEL_DATA = 0x10;
export const SELECTOR_USER_DATA = 0x1b;
export const SELECTOR_USER_CODE = 0x23;
export const SELECTOR_FIRST_TSS = 0x28; // + vCPU * 16
export const TSS_OFFSET = 0x180; // + vCPU * TSS_SIZE
export const TSS_SIZE = 104;
export const IO_BITMAP_OFFSET = 0x800;
export const IO_BITMAP_BYTES = 163; // ports 0 to 50fh and the byte of ones that must end it

/** Offsets in the parameter page (little endian, written by the loader, never changed). */
export const PARAM_MAGIC = 0x000; // u64
export const PARAM_SEED = 0x008; // u64
export const PARAM_VCPUS = 0x010; // u32
export const PARAM_FLAGS = 0x014; // u32
export const PARAM_WORKING_SET_PAGES = 0x018; // u64
export const PARAM_REWRITES_PER_BATCH = 0x020; // u64, 32.32 fixed point, pages per vCPU and batch
export const PARAM_CHECKS_PER_BATCH = 0x028; // u64, 32.32 fixed point, pages per vCPU and batch
export const PARAM_BATCHES_PER_TICK = 0x030; // u32
export const PARAM_FIXED_PAGES = 0x034; // u32
export const PARAM_SHARED_ADDRESS = 0x038; // u64
export const PARAM_PRIVATE_ADDRESS = 0x040; // u64
export const PARAM_VCPU_TABLE = 0x080;
export const PARAM_CHECKSUMS = 0x280; // u64 per fixed page
export const PARAM_OWN_CHECKSUM = 0xff8; // u64

/** Offsets in one vCPU's record of the parameter page. */
export const VCPU_RECORD_SIZE = 32;
export const VCPU_SLICE_FIRST = 0; // u64
export const VCPU_SLICE_LENGTH = 8; // u64
export const VCPU_STATIC_FIRST = 16; // u64
export const VCPU_STATIC_LENGTH = 24; // u64

/** YMM high halves and XCR0 are canaries. */
export const FLAG_AVX = 1;
/** TSC_AUX is a canary. */
export const FLAG_RDTSCP = 2;
/** The check pass covers each vCPU's slice too, not only its static part. */
export const FLAG_CHECK_SLICE = 4;
/** A visit checks the whole filler of a page, else one of its three spans. */
export const FLAG_FULL_FILLER = 8;
/** The time-stamp counter must never run backwards. */
export const FLAG_TSC = 16;

/** Offsets in the shared page. */
export const SHARED_LOCK = 0x000; // u32
export const SHARED_READY = 0x040; // u32
export const SHARED_BATCHES = 0x400; // u64 per vCPU
export const SHARED_BATCH_STRIDE = 64;

/** Offsets in a vCPU's private page; its stack starts at the end of the page. */
export const PRIVATE_BATCH = 0x000; // u64
export const PRIVATE_REWRITE_FRACTION = 0x008; // u32
export const PRIVATE_CHECK_FRACTION = 0x00c; // u32
export const PRIVATE_CHECK_CURSOR = 0x010; // u64
export const PRIVATE_CHECK_PASSES = 0x018; // u64
export const PRIVATE_TICK = 0x020; // u32
export const PRIVATE_DEFERRED = 0x024; // u32
export const PRIVATE_REPORTS = 0x028; // u32
export const PRIVATE_SPAN = 0x02c; // u32
export const PRIVATE_TSC = 0x030; // u64
export const PRIVATE_LINE = 0x080;
export const PRIVATE_PRIVILEGED = 0x200; // u64 per MSR and debug register that is a canary
export const PRIVATE_EXPECTED = 0x400;
export const PRIVATE_ACTUAL = 0x600;
export const PRIVATE_YMM = 0x800;
export const PRIVATE_SERVICE_STACK = 0xb00; // end of the stack of the service trap

/** CORRUPT lines that one vCPU prints at most. */
export const REPORT_LIMIT = 16;
/** A static page whose block page index has all these bits set is zero. */
export const ZERO_PAGE_MASK = 3;

/** Stamps: 16 bytes (page index, generation) at 0, at two offsets that derive from the page's key, and at the end. */
export const STAMP_SIZE = 16;
export const STAMP_LOW_BASE = 0x020;
export const STAMP_HIGH_BASE = 0x800;
export const STAMP_LAST = 0xff0;

/** `GDWITDMO`, the first 8 bytes of the parameter page. */
export const MAGIC = 0x4f4d445449574447n;

/** Page tables: the top-level table, the directory-pointer table, and a page directory per GiB. */
export const PML4_PAGE = DESCRIPTOR_ADDRESS / PAGE_SIZE + 1;
export const PDPT_PAGE = PML4_PAGE + 1;
export const FIRST_DIRECTORY_PAGE = PDPT_PAGE + 1;

export const MAX_VCPUS = 16;
export const MAX_MEMORY_BYTES = 64 * 2 ** 30;

/** Pages at the start of the block that belong to the guest itself, by block page index. */
export interface OwnPages {
  /** One page directory per GiB of guest addresses. */
  readonly directories: number;
  /** Pages 0 to this one, exclusive, never change after the loader. */
  readonly fixed: number;
  readonly shared: number;
  /** Of vCPU 0; one page per vCPU follows. */
  readonly firstPrivate: number;
  /** The first page of the working set. */
  readonly end: number;
}

/** The guest's own pages for a memory size in bytes. */
export function ownPages(memoryBytes: number, vcpus: number): OwnPages {
  const lastPage = Math.ceil(memoryBytes / PAGE_SIZE) - 1;
  const directories = Math.floor(guestAddressOfPage(lastPage) / 2 ** 30) + 1;
  const fixed = FIRST_DIRECTORY_PAGE + directories;
  return { directories, fixed, shared: fixed, firstPrivate: fixed + 1, end: fixed + 1 + vcpus };
}

/** Guest address of a page of the RAM block. */
export function guestAddressOfPage(blockPage: number): number {
  return (blockPage < HOLE_FIRST_PAGE ? blockPage : blockPage + HOLE_PAGES) * PAGE_SIZE;
}
