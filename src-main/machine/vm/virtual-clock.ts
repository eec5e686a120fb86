// SPDX-License-Identifier: Apache-2.0

/** Nanoseconds that the guest has run for: stands still while it is stopped, and travels in the `timer` section. */
export class VirtualClock {
  readonly #now: () => bigint;
  #base = 0n;
  #startedAt: bigint | undefined;

  /** `now`: CLOCK_MONOTONIC, nanoseconds. */
  constructor(now: () => bigint) {
    this.#now = now;
  }

  get nanoseconds(): bigint {
    return this.#startedAt === undefined ? this.#base : this.#base + (this.#now() - this.#startedAt);
  }

  /** Takes the value over that arrived with the guest's state. */
  set(nanoseconds: bigint): void {
    this.#base = nanoseconds;
    if (this.#startedAt !== undefined) this.#startedAt = this.#now();
  }

  start(): void {
    this.#startedAt ??= this.#now();
  }

  stop(): void {
    this.#base = this.nanoseconds;
    this.#startedAt = undefined;
  }
}
