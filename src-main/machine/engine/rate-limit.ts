// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Length of a pacing window, milliseconds: `bytes per window = bytes per second × windowMs / 1000`. The same window
 * gives the bandwidth estimate (QEMU's BUFFER_DELAY).
 */
export const windowMs = 100;

/** How many bytes a window may carry; Infinity without a limit (0). */
export function windowBudget(bytesPerSecond: number): number {
  return bytesPerSecond === 0 ? Infinity : (bytesPerSecond * windowMs) / 1000;
}

/**
 * Keeps a stream within its bandwidth, window by window. The count is reset with each window and never carried over, so
 * that a changed limit acts at once and an idle second earns no burst.
 */
export class RateLimit {
  readonly #now: () => number;
  #windowStart: number;
  #used = 0;
  #wake = new AbortController();

  /** `now`: a monotonic clock, milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
    this.#windowStart = now();
  }

  /** Bytes that may still go out in this window under `bytesPerSecond`. */
  remainingBytes(bytesPerSecond: number): number {
    return Math.max(0, windowBudget(bytesPerSecond) - this.#used);
  }

  /** Milliseconds until this window ends; 0 when it is over. */
  remainingMs(): number {
    return Math.max(0, this.#windowStart + windowMs - this.#now());
  }

  account(bytes: number): void {
    this.#used += bytes;
  }

  /** Begins the next window; the answer is what the one that ended carried and how long it was. */
  startWindow(): { bytes: number; ms: number } {
    const now = this.#now();
    const ended = { bytes: this.#used, ms: now - this.#windowStart };
    this.#windowStart = now;
    this.#used = 0;
    return ended;
  }

  /** Waits for the rest of the window, until wake() or until the signal aborts (which is not an error here). */
  async waitForWindowEnd(signal: AbortSignal): Promise<void> {
    const ms = this.remainingMs();
    if (ms === 0 || signal.aborted) return;
    this.#wake = new AbortController();
    await delay(ms, undefined, { signal: AbortSignal.any([signal, this.#wake.signal]) }).catch(() => undefined);
  }

  /** Ends a wait early: a limit was changed, or something urgent came. */
  wake(): void {
    this.#wake.abort();
  }
}
