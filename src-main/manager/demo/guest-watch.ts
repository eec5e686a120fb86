// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { plainText } from '../../../src-shared/plain-text.ts';
import { SAMPLE_INTERVAL_MS } from '../deadlines.ts';
import type { MachineLink } from '../machines/link.ts';
import type { Heartbeats } from '../machines/replies.ts';
import { generationSum } from './continuity.ts';
import { SerialFile } from './serial-file.ts';
import { SweepCounter } from './sweeps.ts';
import type { DemoOptions } from './types.ts';

const PAGE_BYTES = 4096;
/** Slower than any box that can run the demo at all: what memory is populated or checksummed at, bytes a second. */
const SLOWEST_MEMORY = 100e6;
/** A guest that gets a tenth of its rate is slow; one that gets less is stuck. */
const RATE_SLACK = 10;
/** A vCPU without a heartbeat for this long does not run. */
const SILENCE_MS = 15_000;

/** The guest stopped making progress. The message says what was waited for. */
export class GuestStuckError extends Error {
  readonly code = 'GUEST_STUCK';
  override readonly name = 'GuestStuckError';
}

/** Milliseconds that one sweep over the working set takes at the guest's rate. */
export function sweepMs(options: Pick<DemoOptions, 'workingSetBytes' | 'dirtyRate'>): number {
  return (options.workingSetBytes / PAGE_BYTES / options.dirtyRate) * 1000;
}

/** How long `sweeps` sweeps and `passes` passes over all memory may take before the guest counts as stuck. */
export function checksDeadlineMs(options: DemoOptions, sweeps: number, passes: number): number {
  return SILENCE_MS + sweeps * sweepMs(options) * RATE_SLACK + (passes * options.memoryBytes * 1000) / SLOWEST_MEMORY;
}

/** What one look at the guest showed. */
export interface GuestLook {
  readonly beats: Heartbeats;
  readonly generation: number;
  /** Generations a second since the look about a second ago. */
  readonly rate: number;
}

/** Follows the guest from one process into the other: heartbeats over QMP, its own checks from the serial port. */
export class GuestWatch {
  readonly checks: SweepCounter;
  #link: MachineLink;
  #serial: SerialFile;
  readonly #history: { readonly at: number; readonly generation: number }[] = [];

  constructor(vcpus: number, link: MachineLink, serialPath: string) {
    this.checks = new SweepCounter(vcpus);
    this.#link = link;
    this.#serial = new SerialFile(serialPath);
  }

  async look(): Promise<GuestLook> {
    const beats = await this.#link.heartbeats();
    await this.readSerial();
    const generation = Number(generationSum(beats.vcpus));
    const at = Number(beats['monotonic-ns']) / 1e9;
    this.#history.push({ at, generation });
    if (this.#history.length > 1000 / SAMPLE_INTERVAL_MS) this.#history.shift();
    const first = this.#history[0] ?? { at, generation };
    const rate = at > first.at ? Math.max(0, (generation - first.generation) / (at - first.at)) : 0;
    return { beats, generation, rate };
  }

  async readSerial(): Promise<void> {
    await this.#serial.readOn((text) => {
      this.checks.push(text);
    });
  }

  /** From here on the guest lives in the destination. Reads what the source still wrote. */
  async moveTo(link: MachineLink, serialPath: string): Promise<void> {
    await this.readSerial();
    this.checks.switchOver();
    this.#link = link;
    this.#serial = new SerialFile(serialPath);
    this.#history.length = 0;
  }

  /**
   * Looks ten times a second until `enough` answers true. Throws a {@link GuestStuckError} after `deadlineMs`, or as
   * soon as a vCPU is silent for long, saying that `goal` was waited for.
   */
  async until(
    enough: (look: GuestLook, checks: SweepCounter) => boolean,
    limits: { readonly deadlineMs: number; readonly goal: string; readonly signal: AbortSignal },
  ): Promise<GuestLook> {
    const began = performance.now();
    for (;;) {
      const look = await this.look();
      if (enough(look, this.checks)) return look;
      const runState = await this.#link.runState();
      if (runState !== 'running') {
        throw new GuestStuckError(`the guest stopped (${plainText(runState)}), waiting for ${limits.goal}`);
      }
      const silent = silentVcpu(look.beats);
      if (silent !== undefined) {
        throw new GuestStuckError(
          `vCPU ${String(silent)} has been silent for ${seconds(SILENCE_MS)}, waiting for ${limits.goal}`,
        );
      }
      if (performance.now() - began > limits.deadlineMs) {
        throw new GuestStuckError(
          `no sign of ${limits.goal} after ${seconds(limits.deadlineMs)}: the guest is stuck or far too slow`,
        );
      }
      await sleep(SAMPLE_INTERVAL_MS, undefined, { signal: limits.signal });
    }
  }
}

function silentVcpu(beats: Heartbeats): number | undefined {
  const limitNs = BigInt(SILENCE_MS) * 1_000_000n;
  return beats.vcpus.find((beat) => beat.count > 0 && beats['monotonic-ns'] - beat['last-ns'] > limitNs)?.vcpu;
}

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(0)} s`;
