// SPDX-License-Identifier: Apache-2.0
// Tests must end every process that they start. A suite's processes carry a mark in their environment, which their
// children inherit however they detach themselves; whoever still carries it at the end was left behind.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export const MARK = 'GODWIT_TEST_RUN';

// A process that has been told to end may need a moment.
const GRACE_MS = 2000;
const POLL_MS = 100;

/** Ends what carries the mark with this value, and answers what that was, as `name (pid)`. */
export async function endLeftovers(value: string): Promise<string[]> {
  const deadline = performance.now() + GRACE_MS;
  let found = marked(value);
  while (found.length > 0 && performance.now() < deadline) {
    await delay(POLL_MS);
    found = marked(value);
  }
  const named = found.map((pid) => `${commandOf(pid)} (${pid})`);
  for (const pid of found) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has just ended by itself.
    }
  }
  return named;
}

function marked(value: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    // A zombie's environment is empty: it is not running any more.
    return pid !== process.pid && readProc(pid, 'environ').split('\0').includes(`${MARK}=${value}`);
  });
}

function commandOf(pid: number): string {
  return readProc(pid, 'cmdline').split('\0').join(' ').trim().slice(0, 120);
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // gone, or another user's
  }
}
