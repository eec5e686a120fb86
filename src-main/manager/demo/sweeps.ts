// SPDX-License-Identifier: Apache-2.0
/** Counts the guest's own checks from its serial lines. Pure. */
import { DemoGuestLineReader } from '../../../src-shared/demo-guest-lines.ts';

interface Counters {
  readonly sweep: bigint;
  readonly staticPasses: bigint;
}

/** Checks that began after the switchover and are complete. */
export interface ChecksAfter {
  /** Least over the vCPUs. */
  readonly sweeps: number;
  readonly staticPasses: number;
}

/** How many CORRUPT lines are kept; the rest is only counted. */
const KEPT_CORRUPT_LINES = 100;

/**
 * Reads the serial output of the source and then that of the destination as the one stream that the guest wrote: a
 * line that the switchover cut in two is read whole.
 */
export class SweepCounter {
  readonly #vcpus: number;
  readonly #reader = new DemoGuestLineReader();
  readonly #latest = new Map<number, Counters>();
  #sinceSwitchover: Map<number, Counters> | undefined;
  readonly corrupt: string[] = [];
  corruptCount = 0;

  constructor(vcpus: number) {
    this.#vcpus = vcpus;
  }

  /** Takes the next piece of output. */
  push(text: string): void {
    for (const line of this.#reader.push(text)) {
      if (line.kind === 'corrupt') {
        this.corruptCount += 1;
        if (this.corrupt.length < KEPT_CORRUPT_LINES) this.corrupt.push(line.text);
        continue;
      }
      const counters = { sweep: line.sweep, staticPasses: line.staticPasses };
      this.#latest.set(line.cpu, counters);
      if (this.#sinceSwitchover && !this.#sinceSwitchover.has(line.cpu)) this.#sinceSwitchover.set(line.cpu, counters);
    }
  }

  /** All that follows comes from the destination. */
  switchOver(): void {
    this.#sinceSwitchover = new Map();
  }

  /** Complete sweeps of the vCPU that has done fewest. */
  get sweeps(): number {
    return this.#least((cpu) => this.#latest.get(cpu)?.sweep ?? 0n);
  }

  /**
   * The check under way when the destination's first line was written may have begun before the switchover, so the
   * first one that ends is not counted.
   */
  get after(): ChecksAfter {
    const since = (cpu: number, pick: (counters: Counters) => bigint): bigint => {
      const first = this.#sinceSwitchover?.get(cpu);
      const latest = this.#latest.get(cpu);
      if (!first || !latest) return 0n;
      const ended = pick(latest) - pick(first);
      return ended > 0n ? ended - 1n : 0n;
    };
    return {
      sweeps: this.#least((cpu) => since(cpu, (counters) => counters.sweep)),
      staticPasses: this.#least((cpu) => since(cpu, (counters) => counters.staticPasses)),
    };
  }

  #least(valueOf: (cpu: number) => bigint): number {
    return Math.min(...Array.from({ length: this.#vcpus }, (_, cpu) => Number(valueOf(cpu))));
  }
}
