// SPDX-License-Identifier: Apache-2.0
/** Who drives a run, and whether that process is still there. */
import { readFileSync, readlinkSync } from 'node:fs';
import type { ProcessIdentity } from './types.ts';

/** Field 22 of /proc/PID/stat (proc(5)): when the process was started, in clock ticks since boot. */
const START_TIME_FIELD = 22;

/**
 * When the process `pid` was started, in clock ticks since boot; null where there is no such process, or only what is
 * left of it until its parent looks (a zombie drives nothing any more).
 */
export function startTicksOf(pid: number): number | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  } catch {
    return null; // ENOENT, or ESRCH while it ends
  }
  // The name, field 2, is in parentheses and may hold blanks and parentheses itself; field 3 is the state.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return null;
  const ticks = Number(fields[START_TIME_FIELD - 3]);
  return Number.isSafeInteger(ticks) ? ticks : null;
}

/** The identity of a process of this box; null where it is gone. */
export function identityOf(pid: number): ProcessIdentity | null {
  const startTicks = startTicksOf(pid);
  return startTicks === null ? null : { pid, startTicks, bootId: bootId(), pidNamespace: pidNamespace() };
}

/**
 * Whether that process is known to be gone. One of another PID namespace of this boot (a container that shares the
 * store) cannot be seen from here and does not count as gone.
 */
export function isGone(identity: ProcessIdentity): boolean {
  if (identity.bootId !== bootId()) return true;
  if (identity.pidNamespace !== pidNamespace()) return false;
  return startTicksOf(identity.pid) !== identity.startTicks;
}

const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
const pidNamespace = (): string => readlinkSync('/proc/self/ns/pid');
