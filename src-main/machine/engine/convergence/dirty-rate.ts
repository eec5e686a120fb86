// SPDX-License-Identifier: Apache-2.0
/**
 * How fast the guest writes to its memory, measured on request (`calc-dirty-rate`). Page sampling looks at some pages,
 * looks again after the time asked for, and takes the share that changed for the share of all memory: it needs no dirty
 * log and costs the guest nothing, also while a migration uses the log.
 */
import { createHash, randomInt } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { MigrationError } from '../errors.ts';
import type { RamBlock } from '../machine-interface.ts';
import { TARGET_PAGE_SIZE } from '../stream/wire.ts';

export const DIRTY_RATE_MODES = ['page-sampling', 'dirty-ring', 'dirty-bitmap'] as const;
export type DirtyRateMode = (typeof DIRTY_RATE_MODES)[number];
export const TIME_UNITS = ['second', 'millisecond'] as const;
export type TimeUnit = (typeof TIME_UNITS)[number];

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
/** Bounds and default of `calc-time` in milliseconds and of `sample-pages` per GiB (qmp-migration.md 12). */
const TIME_MS = { min: 50, max: 60_000 } as const;
const PAGES_PER_GIB = { min: 128, max: 16_384, default: 512 } as const;
/** Smaller blocks say nothing about the rate. */
const MIN_BLOCK_BYTES = 128 * 1024;

export interface DirtyRateRequest {
  readonly calcTime: number;
  readonly unit: TimeUnit;
  readonly samplePages: number | undefined;
  readonly mode: DirtyRateMode;
}

/** The reply of `query-dirty-rate`. */
export interface DirtyRateReport {
  readonly status: 'unstarted' | 'measuring' | 'measured';
  readonly 'start-time': number;
  readonly 'calc-time': number;
  readonly 'calc-time-unit': TimeUnit;
  readonly 'sample-pages': number;
  readonly mode: DirtyRateMode;
  /** MiB per second; only once measured. */
  readonly 'dirty-rate'?: number;
}

/** A page that was looked at. */
interface Sample {
  readonly block: RamBlock;
  readonly offset: number;
  readonly digest: string;
}

interface Measurement {
  readonly request: DirtyRateRequest;
  readonly timeMs: number;
  readonly samplePages: number;
  /** Seconds since 1970. */
  readonly startTime: number;
  status: DirtyRateReport['status'];
  megabytesPerSecond: number;
}

export class DirtyRate {
  readonly #blocks: readonly RamBlock[];
  readonly #hasRing: boolean;
  readonly #wallClock: () => number;
  #end = new AbortController();
  #last: Measurement | undefined;
  #work: Promise<void> = Promise.resolve();

  /** `wallClock`: milliseconds since 1970, for the report alone. */
  constructor(blocks: readonly RamBlock[], hasRing: boolean, wallClock: () => number) {
    this.#blocks = blocks;
    this.#hasRing = hasRing;
    this.#wallClock = wallClock;
  }

  /** Begins to measure; throws a sentence of QEMU's where that cannot be. */
  start(request: DirtyRateRequest): void {
    const timeMs = request.calcTime * (request.unit === 'second' ? 1000 : 1);
    const samplePages = request.samplePages ?? PAGES_PER_GIB.default;
    this.#check(request, timeMs, samplePages);
    const measurement: Measurement = {
      request,
      timeMs,
      samplePages,
      startTime: Math.floor(this.#wallClock() / 1000),
      status: 'measuring',
      megabytesPerSecond: 0,
    };
    this.#last = measurement;
    this.#end = new AbortController();
    this.#work = this.#measure(measurement, this.#end.signal);
  }

  /** The last measurement; its time in `unit`. */
  report(unit: TimeUnit): DirtyRateReport {
    const last = this.#last;
    return {
      status: last?.status ?? 'unstarted',
      'start-time': last?.startTime ?? 0,
      'calc-time': Math.floor((last?.timeMs ?? 0) / (unit === 'second' ? 1000 : 1)),
      'calc-time-unit': unit,
      'sample-pages': last?.samplePages ?? 0,
      mode: last?.request.mode ?? 'page-sampling',
      ...(last?.status === 'measured' && { 'dirty-rate': last.megabytesPerSecond }),
    };
  }

  /** Ends a measurement under way without a result: its guest has left, and the memory may go. */
  abandon(): void {
    this.#end.abort();
  }

  /** The same, and waits until nothing looks at memory any more. */
  async close(): Promise<void> {
    this.abandon();
    await this.#work;
  }

  #check({ mode, samplePages: given }: DirtyRateRequest, timeMs: number, samplePages: number): void {
    if (this.#last?.status === 'measuring') throw refusal('the dirty rate is already being measured.');
    if (timeMs < TIME_MS.min || timeMs > TIME_MS.max) {
      throw refusal(`Calculation time is out of range [${TIME_MS.min}ms, ${TIME_MS.max}ms].`);
    }
    if (given !== undefined && mode !== 'page-sampling') {
      throw refusal('sample-pages is used only in page-sampling mode');
    }
    if (samplePages < PAGES_PER_GIB.min || samplePages > PAGES_PER_GIB.max) {
      throw refusal(`sample-pages is out of range[${PAGES_PER_GIB.min}, ${PAGES_PER_GIB.max}].`);
    }
    if (mode === 'page-sampling') return;
    if ((mode === 'dirty-ring') !== this.#hasRing) {
      throw refusal(`mode ${mode} is not enabled, use other method instead.`);
    }
    throw refusal(`mode ${mode} is not supported by this version of Godwit: use page-sampling`);
  }

  async #measure(measurement: Measurement, signal: AbortSignal): Promise<void> {
    try {
      const began = performance.now();
      const samples = await this.#take(measurement.samplePages);
      await delay(measurement.timeMs, undefined, { signal });
      let changed = 0;
      for (const { block, offset, digest } of samples) {
        signal.throwIfAborted();
        if ((await digestOf(block, offset)) !== digest) changed += 1;
      }
      const ms = performance.now() - began;
      const megabytes = this.#blocks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / MIB;
      if (samples.length > 0) {
        measurement.megabytesPerSecond = Math.floor((changed * megabytes * 1000) / (samples.length * ms));
      }
      measurement.status = 'measured';
    } catch {
      measurement.status = 'unstarted'; // the guest has left, or the machine ends
    }
  }

  async #take(pagesPerGib: number): Promise<Sample[]> {
    const samples: Sample[] = [];
    for (const block of this.#blocks) {
      if (block.sizeBytes < MIN_BLOCK_BYTES) continue;
      const count = Math.max(1, Math.floor((block.sizeBytes / GIB) * pagesPerGib));
      for (let index = 0; index < count; index += 1) {
        const offset = randomInt(block.sizeBytes / TARGET_PAGE_SIZE) * TARGET_PAGE_SIZE;
        samples.push({ block, offset, digest: await digestOf(block, offset) });
      }
    }
    return samples;
  }
}

async function digestOf({ memory }: RamBlock, offset: number): Promise<string> {
  return createHash('sha1')
    .update(await memory.read(offset, TARGET_PAGE_SIZE))
    .digest('hex');
}

const refusal = (sentence: string): MigrationError => new MigrationError('unsupported', sentence);
