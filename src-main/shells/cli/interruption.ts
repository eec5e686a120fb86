// SPDX-License-Identifier: Apache-2.0
/** Until a server is told to end: Ctrl-C is asked back where something would be lost, a request from outside is not. */
import type { CliIo } from './io.ts';

/** A second Ctrl-C within this ends what the first one only told of. */
const CONFIRM_WITHIN_MS = 5000;

export class Interruption {
  readonly #forget: () => void;
  #next = Promise.withResolvers<NodeJS.Signals>();

  constructor(io: CliIo) {
    this.#forget = io.onInterrupt((signal) => this.#next.resolve(signal));
  }

  /** The first request to end. */
  get first(): Promise<NodeJS.Signals> {
    return this.#next.promise;
  }

  /**
   * Resolves when it is to end. `warn` tells what would be lost and answers whether anything would; `stay` is called
   * when nobody confirms. SIGTERM and SIGHUP (the terminal is gone) end at once.
   */
  async confirmed(warn: () => Promise<boolean>, stay: () => void): Promise<void> {
    for (;;) {
      const signal = await this.#next.promise;
      if (signal !== 'SIGINT') return;
      this.#next = Promise.withResolvers();
      if (!(await warn())) return;
      if (await within(this.#next.promise, CONFIRM_WITHIN_MS)) return;
      stay();
    }
  }

  forget(): void {
    this.#forget();
  }
}

async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const timer = setTimeout(() => late.resolve(false), ms);
  try {
    return await Promise.race([promise.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
