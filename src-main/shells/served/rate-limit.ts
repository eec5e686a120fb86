// SPDX-License-Identifier: Apache-2.0
/** So many attempts in a span of time, whoever makes them: a guesser has no more of them by coming from elsewhere. */
export class RateLimit {
  readonly #attempts: number;
  readonly #perMs: number;
  #taken: number[] = [];

  constructor({ attempts, perMs }: { readonly attempts: number; readonly perMs: number }) {
    this.#attempts = attempts;
    this.#perMs = perMs;
  }

  /** Whether one more may be made now. */
  take(now: number = performance.now()): boolean {
    this.#taken = this.#taken.filter((at) => now - at < this.#perMs);
    if (this.#taken.length >= this.#attempts) return false;
    this.#taken.push(now);
    return true;
  }
}
