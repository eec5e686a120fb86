// SPDX-License-Identifier: Apache-2.0
/** The box that figures come from, described without naming it. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { plainText } from '../../../src-shared/plain-text.ts';
import type { BenchHost } from './types.ts';

/** `loadBefore`: what {@link currentLoad} said before the first measurement. */
export function describeHost(loadBefore: number): BenchHost {
  const cpuinfo = readFileSync('/proc/cpuinfo', 'utf8');
  return {
    cpu: plainText(cpus()[0]?.model.trim() ?? 'unknown'),
    processors: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: kernelOf(release()),
    hypervisor: hypervisorOf(cpuinfo),
    loadBefore,
    loadAfter: currentLoad(),
  };
}

/** Load average of the last minute. */
export function currentLoad(): number {
  return loadavg()[0] ?? Number.NaN;
}

/** Version numbers alone: a suffix may name a place or its owner. */
export function kernelOf(text: string): string {
  return /^\d+(?:\.\d+)*/.exec(text)?.[0] ?? 'unknown';
}

/** Whether the box is a virtual machine itself, from /proc/cpuinfo. A guest of a guest pays for every exit twice. */
export function hypervisorOf(cpuinfo: string): string {
  const flags = (/^flags\s*:(.*)$/m.exec(cpuinfo)?.[1] ?? '').split(' ');
  if (!flags.includes('hypervisor')) return 'none';
  return flags.includes('vmx') || flags.includes('svm') ? 'yes, with nested virtualization' : 'yes';
}
