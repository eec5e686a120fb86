// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';

/** Whether there is such a process. */
export function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Resolves when it is gone: nobody is told of the end of a process that is no child. */
export async function untilGone(pid: number, withinMs = 20_000): Promise<void> {
  const until = performance.now() + withinMs;
  while (isThere(pid)) {
    if (performance.now() > until) throw new Error(`process ${String(pid)} is still there`);
    await sleep(20);
  }
}
