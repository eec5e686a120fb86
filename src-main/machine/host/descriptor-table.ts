// SPDX-License-Identifier: Apache-2.0
/** Descriptors that a monitor's clients have passed and named (`getfd`). Names are a monitor's own, as in QEMU. */
import { closeSync } from 'node:fs';
import { Refusal } from './refusal.ts';

export class DescriptorTable {
  readonly #descriptors = new Map<string, number>();

  /** Takes the descriptor over. One that had the name is closed. */
  add(name: string, descriptor: number): void {
    const before = this.#descriptors.get(name);
    this.#descriptors.set(name, descriptor);
    if (before !== undefined) closeSync(before);
  }

  /** Gives the descriptor to the caller: the name is free afterwards. Without one, a {@link Refusal} says so. */
  take(name: string): number {
    const descriptor = this.#descriptors.get(name);
    if (descriptor === undefined) throw new Refusal(`File descriptor named '${name}' has not been found`);
    this.#descriptors.delete(name);
    return descriptor;
  }

  has(name: string): boolean {
    return this.#descriptors.has(name);
  }

  close(): void {
    for (const descriptor of this.#descriptors.values()) closeSync(descriptor);
    this.#descriptors.clear();
  }
}
