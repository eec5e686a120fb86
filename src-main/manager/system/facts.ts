// SPDX-License-Identifier: Apache-2.0
/** Looks at the box. Gathers facts and judges nothing. */
import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync, existsSync } from 'node:fs';
import { release } from 'node:os';
import { promisify } from 'node:util';
import { ensureRuntimeDir } from '../paths.ts';
import { probeMachine } from './probe.ts';
import type { MachineProbe } from './probe.ts';

export interface SystemFacts {
  readonly node: string;
  readonly arch: string;
  readonly probe: MachineProbe | { readonly error: string };
  /** `absent`, or whether this user may open it for reading and writing. */
  readonly kvmDevice: 'absent' | 'denied' | 'accessible';
  /** `vmx`, `svm` or undefined: the virtualization flag of the CPU. */
  readonly cpuVirtualization: 'vmx' | 'svm' | undefined;
  readonly userfaultfdDevice: 'absent' | 'denied' | 'accessible';
  /** vm.unprivileged_userfaultfd; undefined where the kernel has no such setting. */
  readonly unprivilegedUserfaultfd: number | undefined;
  readonly isRoot: boolean;
  /** 2 MiB huge pages; undefined where the kernel has none. */
  readonly hugePages: { readonly total: number; readonly free: number } | undefined;
  /** `6.18.44`. */
  readonly kernel: string;
  /** Chosen value of shmem_enabled: `never`, `advise`, `within_size`, `always`, … */
  readonly shmemHugePages: string | undefined;
  readonly memAvailableBytes: number | undefined;
  /** Soft limit of locked memory in bytes; Infinity when unlimited. */
  readonly lockedMemoryBytes: number | undefined;
  /** First line of `qemu-system-x86_64 --version`. */
  readonly qemu: string | undefined;
  readonly runtimeDir: { readonly path: string } | { readonly error: string };
}

export async function gatherSystemFacts(): Promise<SystemFacts> {
  const [probe, qemu] = await Promise.all([probeMachine(), qemuVersion()]);
  return {
    node: process.versions.node,
    arch: process.arch,
    probe,
    kvmDevice: deviceAccess('/dev/kvm'),
    cpuVirtualization: cpuFlag(readText('/proc/cpuinfo') ?? ''),
    userfaultfdDevice: deviceAccess('/dev/userfaultfd'),
    unprivilegedUserfaultfd: numberOf(readText('/proc/sys/vm/unprivileged_userfaultfd')),
    isRoot: process.geteuid?.() === 0,
    hugePages: hugePages(),
    kernel: release(),
    shmemHugePages: chosenValue(readText('/sys/kernel/mm/transparent_hugepage/shmem_enabled') ?? ''),
    memAvailableBytes: memAvailableBytes(readText('/proc/meminfo') ?? ''),
    lockedMemoryBytes: lockedMemoryBytes(readText('/proc/self/limits') ?? ''),
    qemu,
    runtimeDir: runtimeDir(),
  };
}

/** The value in brackets, as sysfs marks the chosen one: `always [never] advise`. */
export function chosenValue(text: string): string | undefined {
  return /\[([^\]]+)\]/.exec(text)?.[1];
}

export function memAvailableBytes(meminfo: string): number | undefined {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

export function lockedMemoryBytes(limits: string): number | undefined {
  const soft = /^Max locked memory\s+(\S+)/m.exec(limits)?.[1];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

export function cpuFlag(cpuinfo: string): 'vmx' | 'svm' | undefined {
  const flags = (/^flags\s*:(.*)$/m.exec(cpuinfo)?.[1] ?? '').split(' ');
  return (['vmx', 'svm'] as const).find((flag) => flags.includes(flag));
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // not there, or not for this user: the fact is unknown, which the checks say
  }
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text.trim());
}

function deviceAccess(path: string): 'absent' | 'denied' | 'accessible' {
  if (!existsSync(path)) return 'absent';
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return 'accessible';
  } catch {
    return 'denied';
  }
}

function hugePages(): SystemFacts['hugePages'] {
  const folder = '/sys/kernel/mm/hugepages/hugepages-2048kB';
  const total = numberOf(readText(`${folder}/nr_hugepages`));
  const free = numberOf(readText(`${folder}/free_hugepages`));
  return total === undefined || free === undefined ? undefined : { total, free };
}

async function qemuVersion(): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('qemu-system-x86_64', ['--version'], { timeout: 10_000 });
    return stdout.split('\n')[0]?.trim();
  } catch {
    return undefined; // not installed, or broken: either way there is none to use
  }
}

function runtimeDir(): SystemFacts['runtimeDir'] {
  try {
    return { path: ensureRuntimeDir() };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
