// SPDX-License-Identifier: Apache-2.0
/**
 * The guest's fixed pages: trap page, code, descriptors, page tables, and the parameter page that holds the others'
 * checksums.
 */
import { buildDescriptorPage, markTaskStatesBusy } from './descriptor-page.ts';
import {
  CODE_ADDRESS,
  CODE_PAGES,
  DESCRIPTOR_ADDRESS,
  FIRST_DIRECTORY_PAGE,
  MAGIC,
  PAGE_SIZE,
  PARAMETER_ADDRESS,
  PARAM_BATCHES_PER_TICK,
  PARAM_CHECKSUMS,
  PARAM_CHECKS_PER_BATCH,
  PARAM_FIXED_PAGES,
  PARAM_FLAGS,
  PARAM_MAGIC,
  PARAM_OWN_CHECKSUM,
  PARAM_PRIVATE_ADDRESS,
  PARAM_REWRITES_PER_BATCH,
  PARAM_SEED,
  PARAM_SHARED_ADDRESS,
  PARAM_VCPUS,
  PARAM_VCPU_TABLE,
  PARAM_WORKING_SET_PAGES,
  PDPT_PAGE,
  PML4_PAGE,
  VCPU_RECORD_SIZE,
  VCPU_SLICE_FIRST,
  VCPU_SLICE_LENGTH,
  VCPU_STATIC_FIRST,
  VCPU_STATIC_LENGTH,
} from './layout.ts';
import type { OwnPages } from './layout.ts';

/** A run of pages of the RAM block, by block page index. */
export interface PageRange {
  readonly first: number;
  readonly length: number;
}

/** What the parameter page tells the guest. */
export interface GuestParameters {
  readonly seed: bigint;
  readonly flags: number;
  readonly workingSetPages: number;
  /** Pages per vCPU and batch. */
  readonly rewritesPerBatch: number;
  readonly checksPerBatch: number;
  /** Batches of one vCPU between two of its lines. */
  readonly batchesPerTick: number;
  /** By vCPU. */
  readonly slices: readonly PageRange[];
  readonly staticParts: readonly PageRange[];
}

/** An opcode that 64-bit mode does not have: a jump into the void faults at once instead of running zeros. */
const TRAP = 0x06;

/** present, writable, user, accessed, dirty: preset so that no walk ever has to write to the tables. */
const TABLE_ENTRY = 0x67n;
/** A table entry that maps a large page. */
const LARGE_PAGE = 0x80n;

/** Pages 0 to `own.fixed`, exclusive. `code` is the assembled image for {@link CODE_ADDRESS}. */
export function buildFixedPages(own: OwnPages, code: Uint8Array, parameters: GuestParameters): Uint8Array {
  const pages = new Uint8Array(own.fixed * PAGE_SIZE);
  pages.fill(TRAP, 0, PAGE_SIZE);
  pages.fill(TRAP, CODE_ADDRESS, CODE_ADDRESS + CODE_PAGES * PAGE_SIZE);
  pages.set(code, CODE_ADDRESS);
  pages.set(buildDescriptorPage(own, parameters.slices.length), DESCRIPTOR_ADDRESS);
  const view = new DataView(pages.buffer);
  writePageTables(view, own);
  writeParameters(view, own, parameters);
  writeChecksums(view, own, parameters.slices.length);
  return pages;
}

/** Checksums of the fixed pages as they are once every vCPU has loaded its task register. */
function writeChecksums(running: DataView, own: OwnPages, vcpus: number): void {
  const view = new DataView(running.buffer.slice(0));
  markTaskStatesBusy(view, DESCRIPTOR_ADDRESS, vcpus);
  for (let page = 0; page < own.fixed; page += 1) {
    if (page * PAGE_SIZE === PARAMETER_ADDRESS) continue;
    const sum = checksumWords(view, page * PAGE_SIZE, PAGE_SIZE);
    running.setBigUint64(PARAMETER_ADDRESS + PARAM_CHECKSUMS + page * 8, sum, true);
  }
  const ownSum = checksumWords(running, PARAMETER_ADDRESS, PARAM_OWN_CHECKSUM);
  running.setBigUint64(PARAMETER_ADDRESS + PARAM_OWN_CHECKSUM, ownSum, true);
}

/** Identity map of `own.directories` GiB with 2 MiB pages. */
function writePageTables(view: DataView, own: OwnPages): void {
  view.setBigUint64(PML4_PAGE * PAGE_SIZE, BigInt(PDPT_PAGE * PAGE_SIZE) | TABLE_ENTRY, true);
  for (let gib = 0; gib < own.directories; gib += 1) {
    const directory = (FIRST_DIRECTORY_PAGE + gib) * PAGE_SIZE;
    view.setBigUint64(PDPT_PAGE * PAGE_SIZE + gib * 8, BigInt(directory) | TABLE_ENTRY, true);
    for (let entry = 0; entry < 512; entry += 1) {
      const address = BigInt(gib * 512 + entry) << 21n;
      view.setBigUint64(directory + entry * 8, address | TABLE_ENTRY | LARGE_PAGE, true);
    }
  }
}

function writeParameters(view: DataView, own: OwnPages, parameters: GuestParameters): void {
  const u32 = (offset: number, value: number) => view.setUint32(PARAMETER_ADDRESS + offset, value, true);
  const u64 = (offset: number, value: bigint) => view.setBigUint64(PARAMETER_ADDRESS + offset, value, true);
  u64(PARAM_MAGIC, MAGIC);
  u64(PARAM_SEED, parameters.seed);
  u32(PARAM_VCPUS, parameters.slices.length);
  u32(PARAM_FLAGS, parameters.flags);
  u64(PARAM_WORKING_SET_PAGES, BigInt(parameters.workingSetPages));
  u64(PARAM_REWRITES_PER_BATCH, fixedPoint(parameters.rewritesPerBatch));
  u64(PARAM_CHECKS_PER_BATCH, fixedPoint(parameters.checksPerBatch));
  u32(PARAM_BATCHES_PER_TICK, parameters.batchesPerTick);
  u32(PARAM_FIXED_PAGES, own.fixed);
  u64(PARAM_SHARED_ADDRESS, BigInt(own.shared * PAGE_SIZE));
  u64(PARAM_PRIVATE_ADDRESS, BigInt(own.firstPrivate * PAGE_SIZE));
  parameters.slices.forEach((slice, vcpu) => {
    const record = PARAM_VCPU_TABLE + vcpu * VCPU_RECORD_SIZE;
    const part = parameters.staticParts[vcpu] ?? { first: 0, length: 0 };
    u64(record + VCPU_SLICE_FIRST, BigInt(slice.first));
    u64(record + VCPU_SLICE_LENGTH, BigInt(slice.length));
    u64(record + VCPU_STATIC_FIRST, BigInt(part.first));
    u64(record + VCPU_STATIC_LENGTH, BigInt(part.length));
  });
}

/** Unsigned 32.32 fixed point. */
function fixedPoint(value: number): bigint {
  return BigInt(Math.round(value * 2 ** 32));
}

const CHECKSUM_START = 0x9e3779b97f4a7c15n;
const CHECKSUM_FACTOR = 0x94d049bb133111ebn;

/** The guest's checksum of `length` bytes: h = rol((h ^ word) * factor, 23) over the 64-bit words. */
export function checksumWords(view: DataView, offset: number, length: number): bigint {
  let sum = CHECKSUM_START;
  for (let at = offset; at < offset + length; at += 8) {
    const product = BigInt.asUintN(64, (sum ^ view.getBigUint64(at, true)) * CHECKSUM_FACTOR);
    sum = BigInt.asUintN(64, product << 23n) | (product >> 41n);
  }
  return sum;
}
