// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { deadlines } from '../deadlines.ts';
import type { LiveMachine } from '../machines/live-machine.ts';

const LOOK_EVERY_MS = 5;

/**
 * The longest gap, in milliseconds, between a vCPU's last beat at the source and its first one at the destination: what
 * the guest itself saw of the switchover. Only Godwit's machines beat, all on CLOCK_MONOTONIC; null where none does.
 */
export async function guestPauseMs(source: LiveMachine, destination: LiveMachine): Promise<number | null> {
  try {
    const until = performance.now() + deadlines.takeover;
    const before = await source.link.heartbeats();
    let after = await destination.link.heartbeats();
    while (after.vcpus.some(({ count }) => count === 0) && performance.now() < until) {
      await sleep(LOOK_EVERY_MS);
      after = await destination.link.heartbeats();
    }
    const gaps = after.vcpus.flatMap((beat, index) => {
      const last = before.vcpus[index];
      return last === undefined || last.count === 0 || beat.count === 0
        ? []
        : [Number(beat['first-ns'] - last['last-ns']) / 1e6];
    });
    return gaps.length === 0 ? null : Math.max(0, ...gaps);
  } catch {
    return null; // not measured
  }
}
