// SPDX-License-Identifier: Apache-2.0
/**
 * Plans a demo guest: what the loader writes into RAM, how each vCPU starts, who owns which page, and how fast
 * everything goes. Pure: the assembled code is handed in (see guest-code.ts).
 */
import { buildFixedPages } from './fixed-pages.ts';
import type { PageRange } from './fixed-pages.ts';
import {
  CODE_ADDRESS,
  CODE_PAGES,
  FLAG_AVX,
  FLAG_CHECK_SLICE,
  FLAG_FULL_FILLER,
  FLAG_RDTSCP,
  FLAG_TSC,
  MAX_MEMORY_BYTES,
  MAX_VCPUS,
  PAGE_SIZE,
  PARAMETER_ADDRESS,
  PML4_PAGE,
  ownPages,
} from './layout.ts';
import type { OwnPages } from './layout.ts';
import { batchesPerSecond, paceIntervalNs } from './pace.ts';

export interface DemoGuestRequest {
  /** Size of the RAM block. */
  readonly memoryBytes: number;
  /** 1 to 16. */
  readonly vcpus: number;
  /** Pages rewritten a second by all vCPUs together; 0: heartbeats and checks only. */
  readonly dirtyRatePagesPerSecond: number;
  /** Memory that is rewritten again and again; absent: half of the RAM. */
  readonly workingSetBytes?: number | undefined;
  /** 64 bits; contents and canaries derive from it. */
  readonly seed: bigint;
  /** The CPU model offers AVX and CR4.OSXSAVE is set. */
  readonly avx: boolean;
  /** The CPU model offers RDTSCP. */
  readonly rdtscp: boolean;
  /** The guest watches that its time-stamp counter never runs backwards: not where the host cannot set it. */
  readonly checkTsc?: boolean | undefined;
  /** Sweeps of the working set for one pass over the static memory; absent: chosen so that a pass takes 1 to 4 s. */
  readonly staticSweeps?: number | undefined;
  /** The assembled guest. */
  readonly code: Uint8Array;
}

/** Registers that differ from a reset vCPU in flat 64-bit mode. */
export interface VcpuStart {
  readonly rip: number;
  readonly rsp: number;
  readonly rdi: number;
  readonly rsi: number;
  readonly rflags: number;
}

export interface DemoGuestPlan {
  /** What to write into the RAM block before the start; every other page may hold anything. */
  readonly writes: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
  readonly entry: {
    readonly rip: number;
    readonly cr3: number;
    /** RSP by vCPU. */
    readonly stacks: readonly number[];
    readonly vcpus: readonly VcpuStart[];
  };
  /** Time between two batches of one vCPU, nanoseconds. */
  readonly paceIntervalNs: number;
  /** Pages below this one belong to the guest itself. */
  readonly ownPages: OwnPages;
  readonly workingSetPages: number;
  /** The working set by vCPU. */
  readonly slices: readonly PageRange[];
  /** Pages outside the working set and the guest's own pages, all and by vCPU. */
  readonly staticPages: number;
  readonly staticParts: readonly PageRange[];
  /** Time of one sweep at the asked rate, seconds; Infinity at rate 0. */
  readonly sweepSeconds: number;
  /** Time of one check pass (`static=` counts them), seconds. */
  readonly checkPassSeconds: number;
  /** Whether a check pass covers the working set too, because the sweep alone would take long to come round. */
  readonly checkPassCoversWorkingSet: boolean;
}

/** A demo guest that cannot be built as asked. `code` names the setting at fault. */
export class DemoGuestError extends Error {
  override readonly name = 'DemoGuestError';
  readonly code: 'memory' | 'vcpus' | 'dirty-rate' | 'working-set' | 'seed' | 'static-sweeps' | 'guest-code';

  constructor(code: DemoGuestError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

const MIB = 2 ** 20;
const TICKS_PER_SECOND = 10;
/** The check pass costs about 0.5 µs a page: this rate is a quarter of a core. */
const MAX_CHECKS_PER_SECOND = 500_000;
/** Small memories are checked at this rate, so that a pass takes no longer than it must. */
const RELAXED_CHECKS_PER_SECOND = 60_000;
const SHORTEST_PASS_SECONDS = 1;
const LONGEST_PASS_SECONDS = 4;
/** Up to this rate a visit can afford to check the whole page. */
const FULL_FILLER_RATE = 100_000;
const MAX_RATE = 10_000_000;

export function planDemoGuest(request: DemoGuestRequest): DemoGuestPlan {
  validate(request);
  const { memoryBytes, vcpus, dirtyRatePagesPerSecond: rate } = request;
  const memoryPages = memoryBytes / PAGE_SIZE;
  const own = ownPages(memoryBytes, vcpus);
  const workingSetPages = planWorkingSet(request, own);
  const staticPages = memoryPages - own.end - workingSetPages;
  const slices = split({ first: own.end, length: workingSetPages }, vcpus);
  const staticParts = split({ first: own.end + workingSetPages, length: staticPages }, vcpus);

  const batches = batchesPerSecond(vcpus);
  const sweepSeconds = rate === 0 ? Infinity : workingSetPages / rate;
  const pass = planCheckPass(request, workingSetPages, staticPages, sweepSeconds);

  const fixedPages = buildFixedPages(own, request.code, {
    seed: request.seed,
    flags:
      (request.avx ? FLAG_AVX : 0) |
      (request.rdtscp ? FLAG_RDTSCP : 0) |
      (request.checkTsc === true ? FLAG_TSC : 0) |
      (pass.coversWorkingSet ? FLAG_CHECK_SLICE : 0) |
      (rate <= FULL_FILLER_RATE ? FLAG_FULL_FILLER : 0),
    workingSetPages,
    rewritesPerBatch: rate / vcpus / batches,
    checksPerBatch: pass.pages / vcpus / pass.seconds / batches,
    batchesPerTick: Math.max(1, Math.round(batches / TICKS_PER_SECOND)),
    slices,
    staticParts,
  });
  const changing = new Uint8Array((own.end - own.fixed) * PAGE_SIZE);
  const starts = slices.map((_, vcpu) => ({
    rip: CODE_ADDRESS,
    rsp: (own.firstPrivate + vcpu + 1) * PAGE_SIZE,
    rdi: vcpu,
    rsi: PARAMETER_ADDRESS,
    rflags: 2,
  }));
  return {
    writes: [
      { offset: 0, bytes: fixedPages },
      { offset: own.fixed * PAGE_SIZE, bytes: changing },
    ],
    entry: { rip: CODE_ADDRESS, cr3: PML4_PAGE * PAGE_SIZE, stacks: starts.map((start) => start.rsp), vcpus: starts },
    paceIntervalNs: paceIntervalNs(vcpus),
    ownPages: own,
    workingSetPages,
    slices,
    staticPages,
    staticParts,
    sweepSeconds,
    checkPassSeconds: pass.seconds,
    checkPassCoversWorkingSet: pass.coversWorkingSet,
  };
}

function validate(request: DemoGuestRequest): void {
  const { memoryBytes, vcpus, dirtyRatePagesPerSecond: rate, seed, code } = request;
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > MAX_VCPUS) {
    throw new DemoGuestError('vcpus', `the demo guest runs on 1 to ${MAX_VCPUS} vCPUs, not ${vcpus}`);
  }
  const minimum = minimumMemoryBytes(vcpus);
  if (!Number.isInteger(memoryBytes) || memoryBytes < minimum || memoryBytes > MAX_MEMORY_BYTES) {
    throw new DemoGuestError(
      'memory',
      `the demo guest on ${vcpus} vCPUs needs ${minimum / MIB} MiB to ${MAX_MEMORY_BYTES / MIB} MiB of memory, ` +
        `not ${memoryBytes / MIB} MiB`,
    );
  }
  if (memoryBytes % PAGE_SIZE !== 0) {
    throw new DemoGuestError('memory', `the memory size ${memoryBytes} is not a multiple of ${PAGE_SIZE} bytes`);
  }
  if (!Number.isFinite(rate) || rate < 0 || rate > MAX_RATE) {
    throw new DemoGuestError('dirty-rate', `the dirty rate must be 0 to ${MAX_RATE} pages a second, not ${rate}`);
  }
  if (seed < 0n || seed > 0xffff_ffff_ffff_ffffn) {
    throw new DemoGuestError('seed', `the seed ${seed} does not fit into 64 bits`);
  }
  if (code.length === 0 || code.length > CODE_PAGES * PAGE_SIZE) {
    throw new DemoGuestError(
      'guest-code',
      `the assembled demo guest has ${code.length} bytes; it must have 1 to ${CODE_PAGES * PAGE_SIZE}`,
    );
  }
}

/** The smallest memory for this many vCPUs, whole MiB. */
export function minimumMemoryBytes(vcpus: number): number {
  const pages = ownPages(MIB, vcpus).end + 2 * vcpus;
  return Math.ceil((pages * PAGE_SIZE) / MIB) * MIB;
}

function planWorkingSet(request: DemoGuestRequest, own: OwnPages): number {
  const { memoryBytes, vcpus } = request;
  const available = memoryBytes / PAGE_SIZE - own.end;
  if (request.workingSetBytes === undefined) return Math.min(Math.floor(memoryBytes / PAGE_SIZE / 2), available);
  const pages = Math.ceil(request.workingSetBytes / PAGE_SIZE);
  if (!Number.isInteger(pages) || pages < vcpus) {
    throw new DemoGuestError(
      'working-set',
      `the working set of ${request.workingSetBytes} bytes is too small: each of the ${vcpus} vCPUs needs a page, ` +
        `${vcpus * PAGE_SIZE} bytes in all`,
    );
  }
  if (pages > available) {
    throw new DemoGuestError(
      'working-set',
      `the working set of ${request.workingSetBytes} bytes does not fit: ${available * PAGE_SIZE} of the ` +
        `${memoryBytes} bytes of memory are left beside the guest's own pages`,
    );
  }
  return pages;
}

interface CheckPass {
  readonly pages: number;
  readonly seconds: number;
  readonly coversWorkingSet: boolean;
}

function planCheckPass(
  request: DemoGuestRequest,
  workingSetPages: number,
  staticPages: number,
  sweepSeconds: number,
): CheckPass {
  const coversWorkingSet = sweepSeconds > LONGEST_PASS_SECONDS;
  const pages = staticPages + (coversWorkingSet ? workingSetPages : 0);
  const cheapest = pages / MAX_CHECKS_PER_SECOND;
  if (request.staticSweeps !== undefined) {
    if (!(request.staticSweeps > 0) || sweepSeconds === Infinity) {
      throw new DemoGuestError('static-sweeps', 'a pass in sweeps needs a number above 0 and a dirty rate above 0');
    }
    return { pages, seconds: Math.max(request.staticSweeps * sweepSeconds, cheapest), coversWorkingSet };
  }
  const relaxed = pages / RELAXED_CHECKS_PER_SECOND;
  const wanted = Math.min(Math.max(relaxed, SHORTEST_PASS_SECONDS), LONGEST_PASS_SECONDS);
  return { pages, seconds: Math.max(wanted, cheapest), coversWorkingSet };
}

/** Splits a range into contiguous parts whose lengths differ by one page at most. */
function split(range: PageRange, parts: number): PageRange[] {
  const start = (part: number) => range.first + Math.floor((range.length * part) / parts);
  return Array.from({ length: parts }, (_, part) => ({ first: start(part), length: start(part + 1) - start(part) }));
}
