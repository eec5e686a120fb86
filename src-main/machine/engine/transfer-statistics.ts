// SPDX-License-Identifier: Apache-2.0
import * as wire from './stream/wire.ts';
import type { RamSendResult } from '../native/index.ts';

/** The dirty rate is counted between syncs at least this far apart, milliseconds (QEMU's rule). */
const dirtyRatePeriodMs = 1000;

/** Counters of one outgoing migration; times are monotonic milliseconds. */
export class TransferStatistics {
  normalPages = 0;
  zeroPages = 0;
  syncCount = 0;
  /** Bytes sent while the guest ran, and while it was stopped for the switchover. */
  precopyBytes = 0;
  downtimeBytes = 0;
  dirtyPagesPerSecond = 0;
  /** 10^6 bit/s and pages/s of the last window. */
  megabitsPerSecond = 0;
  pagesPerSecond = 0;
  dirtyBytesAtLastSync = 0;
  /** Set when migration begins, when the setup is on its way, and when each end came. */
  startedAt: number | undefined;
  setupMs: number | undefined;
  stoppedAt: number | undefined;
  downtimeMs: number | undefined;
  totalMs: number | undefined;

  #pagesAtWindowStart = 0;
  #periodStart: number | undefined;
  #periodDirtyPages = 0;

  addPages(result: RamSendResult): void {
    this.normalPages += result.normalPages;
    this.zeroPages += result.zeroPages;
  }

  /** A sync found `newlyDirty` pages and left `dirtyPages` marked. */
  addSync(now: number, newlyDirty: number, dirtyPages: number): void {
    this.syncCount += 1;
    this.dirtyBytesAtLastSync = dirtyPages * wire.TARGET_PAGE_SIZE;
    if (this.#periodStart === undefined) {
      this.#periodStart = now;
      return;
    }
    this.#periodDirtyPages += newlyDirty;
    const elapsed = now - this.#periodStart;
    if (elapsed < dirtyRatePeriodMs) return;
    this.dirtyPagesPerSecond = Math.round((this.#periodDirtyPages * 1000) / elapsed);
    this.#periodDirtyPages = 0;
    this.#periodStart = now;
  }

  /** A window ended that carried `bytes` in `ms`. */
  endWindow(bytes: number, ms: number): void {
    if (ms <= 0) return;
    const pages = this.normalPages + this.zeroPages;
    this.megabitsPerSecond = (bytes * 8) / (ms * 1000);
    this.pagesPerSecond = Math.round(((pages - this.#pagesAtWindowStart) * 1000) / ms);
    this.#pagesAtWindowStart = pages;
  }

  /** The migration completed: what was measured per window now describes the whole. */
  finish(now: number, transferredBytes: number): void {
    if (this.startedAt === undefined) return;
    this.totalMs = now - this.startedAt;
    if (this.stoppedAt !== undefined) this.downtimeMs = now - this.stoppedAt;
    if (this.totalMs > 0) this.megabitsPerSecond = (transferredBytes * 8) / (this.totalMs * 1000);
    this.dirtyPagesPerSecond = 0;
  }
}
