// SPDX-License-Identifier: Apache-2.0
/** Descriptors that a client passed along with its bytes (SCM_RIGHTS), until a command takes them. */
import { closeSync } from 'node:fs';

/** Owns its descriptors: what is not taken is closed. */
export class PassedDescriptors {
  readonly #descriptors: number[];

  constructor(descriptors: readonly number[] = []) {
    this.#descriptors = [...descriptors];
  }

  /** The first that is left; from here on the caller's to close. */
  take(): number | undefined {
    return this.#descriptors.shift();
  }

  /** All that are left, as a set of their own. */
  takeAll(): PassedDescriptors {
    return new PassedDescriptors(this.#descriptors.splice(0));
  }

  close(): void {
    for (const descriptor of this.#descriptors.splice(0)) closeSync(descriptor);
  }
}
