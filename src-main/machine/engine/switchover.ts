// SPDX-License-Identifier: Apache-2.0
/**
 * When to stop the guest and send the rest. Pure arithmetic on measurements; the runner acts.
 *
 * bandwidth (bytes/ms) is measured per window; `threshold = bandwidth × downtime-limit`: what can be sent while the
 * guest is stopped for no longer than the user allows.
 */

/** A pause this short is not worth another pass. */
const goodEnoughDowntimeMs = 10;
/** Another pass must leave at most this share of what is pending now, else it is not worth its time. */
const worthwhileShrink = 0.5;
/**
 * Once the rest fits the downtime limit, shortening the pause further may take this many times the limit (what the
 * halving passes add up to), and no more than a user who raised the limit to force the end would stand.
 */
const polishingLimits = 2;
const longestPolishingMs = 2_000;

/** Below this many bytes in a window nothing is learned about the expected downtime (QEMU's rule). */
const meaningfulWindowBytes = 10_000;

export interface SwitchoverParameters {
  readonly downtimeLimitMs: number;
  /** `avail-switchover-bandwidth`, bytes per second; 0: use what is measured. */
  readonly availSwitchoverBandwidth: number;
}

export interface WindowMeasurement {
  readonly bytes: number;
  readonly ms: number;
}

/** Bandwidth, threshold and expected downtime, as of the last window. */
export class SwitchoverEstimate {
  /** Bytes per millisecond; 0 before the first window. */
  bandwidth = 0;
  /** Bytes that fit the downtime limit; 0 before the first window, so that only an empty bitmap ends pass 1 early. */
  thresholdBytes = 0;
  /** Milliseconds; undefined until it has been computed once: the downtime limit stands in for it. */
  expectedDowntimeMs: number | undefined;

  /** Bytes per millisecond that the guest dirtied between the last two syncs. */
  dirtyRate = 0;
  #lastSyncAt: number | undefined;
  #fitsSince: number | undefined;

  /** A sync at `now` (monotonic milliseconds) found `newlyDirtyBytes`. */
  addSync(now: number, newlyDirtyBytes: number): void {
    const elapsed = this.#lastSyncAt === undefined ? 0 : now - this.#lastSyncAt;
    this.#lastSyncAt = now;
    if (elapsed > 0) this.dirtyRate = newlyDirtyBytes / elapsed;
  }

  /** Takes a finished window into account. `dirtyBytesAtLastSync` is 0 when the last sync found nothing. */
  update(window: WindowMeasurement, parameters: SwitchoverParameters, dirtyBytesAtLastSync: number): void {
    if (window.ms <= 0) return;
    this.bandwidth = window.bytes / window.ms;
    const expected =
      parameters.availSwitchoverBandwidth > 0 ? parameters.availSwitchoverBandwidth / 1000 : this.bandwidth;
    this.thresholdBytes = expected * parameters.downtimeLimitMs;
    if (dirtyBytesAtLastSync > 0 && window.bytes > meaningfulWindowBytes && expected > 0) {
      this.expectedDowntimeMs = dirtyBytesAtLastSync / expected;
    }
  }

  /** Whether the estimate is low enough to pay for an exact count (a sync of the dirty bitmap). */
  worthCounting(pendingBytes: number): boolean {
    return pendingBytes <= this.thresholdBytes;
  }

  /** Whether an exact count lets the guest be stopped now. */
  reached(exactPendingBytes: number): boolean {
    return exactPendingBytes === 0 || exactPendingBytes < this.thresholdBytes;
  }

  /**
   * Whether to stop the guest now. QEMU stops it as soon as the rest fits the downtime limit, wherever the pass stands;
   * here the copy goes on for a bounded time while each further pass still halves the pause.
   */
  decide(exactPendingBytes: number, now: number, downtimeLimitMs: number): 'copy' | 'switch-over' {
    if (!this.reached(exactPendingBytes)) {
      this.#fitsSince = undefined;
      return 'copy';
    }
    if (exactPendingBytes <= this.bandwidth * goodEnoughDowntimeMs) return 'switch-over';
    this.#fitsSince ??= now;
    if (now - this.#fitsSince >= Math.min(polishingLimits * downtimeLimitMs, longestPolishingMs)) return 'switch-over';
    return this.dirtyRate < this.bandwidth * worthwhileShrink ? 'copy' : 'switch-over';
  }
}
