// SPDX-License-Identifier: Apache-2.0
/** A page whose process ended is loaded again, but one that ends at once each time is not loaded for ever. */

const MOST = 3;
const WITHIN_MS = 60_000;

export class PageDeaths {
  #deaths: number[] = [];

  /** Tells of an end at `now` (monotonic milliseconds). */
  mayTryAgain(now: number): boolean {
    this.#deaths = [...this.#deaths.filter((at) => now - at < WITHIN_MS), now];
    return this.#deaths.length <= MOST;
  }
}
