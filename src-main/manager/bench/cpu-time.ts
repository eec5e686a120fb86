// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';

/** Unit of the times in /proc/PID/stat. The kernel shows them in hundredths on every x86 machine (USER_HZ). */
const TICKS_PER_SECOND = 100;

/** Seconds of processor time in user and kernel mode, all threads, from the text of /proc/PID/stat (proc_pid_stat(5)). */
export function cpuSecondsOf(stat: string): number {
  // The command's name stands in parentheses and may hold anything; fields are counted from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [userTicks, systemTicks] = [Number(fields[11]), Number(fields[12])];
  const seconds = (userTicks + systemTicks) / TICKS_PER_SECOND;
  if (!Number.isFinite(seconds)) throw new RangeError('/proc/PID/stat is not as expected');
  return seconds;
}

/** Processor time that a process has used so far, in seconds. The process must be there. */
export function processCpuSeconds(pid: number): number {
  return cpuSecondsOf(readFileSync(`/proc/${String(pid)}/stat`, 'utf8'));
}
