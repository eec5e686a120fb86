// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { systemChecks } from '../../../src-main/manager/system/checks.ts';
import { chosenValue, cpuFlag, lockedMemoryBytes, memAvailableBytes } from '../../../src-main/manager/system/facts.ts';
import type { SystemFacts } from '../../../src-main/manager/system/facts.ts';
import type { MachineProbe } from '../../../src-main/manager/system/probe.ts';
import { doctorText } from '../../../src-main/shells/cli/doctor.ts';

const GIB = 1024 ** 3;

const probe: MachineProbe = {
  kvm: {
    apiVersion: 12,
    capabilities: {
      KVM_CAP_USER_MEMORY: 1,
      KVM_CAP_IMMEDIATE_EXIT: 1,
      KVM_CAP_XSAVE: 1,
      KVM_CAP_XCRS: 1,
      KVM_CAP_VCPU_EVENTS: 1,
      KVM_CAP_DEBUGREGS: 1,
      EXT_CPUID: 1,
      KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: 3,
      KVM_CAP_DIRTY_LOG_RING: 65536,
    },
  },
  kvmError: null,
  userfaultfd: { features: '131071', through: 'device' },
  userfaultfdError: null,
  zeroScan: 'avx2',
  node: '24.21.0',
};

const good: SystemFacts = {
  node: '24.21.0',
  arch: 'x64',
  probe,
  kvmDevice: 'accessible',
  cpuVirtualization: 'svm',
  userfaultfdDevice: 'accessible',
  unprivilegedUserfaultfd: 0,
  isRoot: false,
  hugePages: { total: 256, free: 200 },
  kernel: '6.12.5',
  shmemHugePages: 'advise',
  memAvailableBytes: 8 * GIB,
  lockedMemoryBytes: Number.POSITIVE_INFINITY,
  qemu: 'QEMU emulator version 7.2.22',
  runtimeDir: { path: '/run/user/1000/godwit' },
};

const checkOf = (facts: Partial<SystemFacts>, id: string) =>
  systemChecks({ ...good, ...facts }).find((check) => check.id === id);

describe('the system check', () => {
  test('finds nothing to say about a box that has everything', () => {
    expect(systemChecks(good).filter((check) => check.status !== 'ok' || check.remedy !== undefined)).toEqual([]);
  });

  test.each<[string, Partial<SystemFacts>, string, 'warn' | 'fail', string | RegExp]>([
    ['old Node', { node: '20.1.0' }, 'node', 'fail', /npm start/],
    ['an addon that does not load', { probe: { error: 'no file' } }, 'addon', 'fail', /npm start/],
    ['no KVM device', { kvmDevice: 'absent' }, 'kvm', 'fail', 'sudo modprobe kvm_amd'],
    ['no virtualization', { kvmDevice: 'absent', cpuVirtualization: undefined }, 'kvm', 'fail', /firmware/],
    ['no permission', { kvmDevice: 'denied' }, 'kvm', 'fail', /usermod -aG kvm/],
    ['KVM in use', { probe: { ...probe, kvm: null, kvmError: 'EBUSY' } }, 'kvm', 'fail', /end other programs/],
    [
      'a KVM that lacks something',
      { probe: { ...probe, kvm: { apiVersion: 12, capabilities: { KVM_CAP_XCRS: 0 } } } },
      'kvm',
      'fail',
      /kernel/,
    ],
    [
      'a plain dirty log',
      { probe: { ...probe, kvm: { apiVersion: 12, capabilities: {} } } },
      'dirty-tracking',
      'warn',
      /5\.1/,
    ],
    ['little memory', { memAvailableBytes: GIB / 2 }, 'memory', 'fail', /--memory 64M/],
    ['a bad runtime folder', { runtimeDir: { error: 'x' } }, 'runtime-dir', 'fail', /GODWIT_HOME/],
    [
      'userfaultfd for root only',
      { userfaultfdDevice: 'absent', probe: { ...probe, userfaultfd: null, userfaultfdError: 'EPERM' } },
      'userfaultfd',
      'warn',
      'sudo sysctl vm.unprivileged_userfaultfd=1',
    ],
    [
      'a userfaultfd device without permission',
      { userfaultfdDevice: 'denied', probe: { ...probe, userfaultfd: null, userfaultfdError: 'EACCES' } },
      'userfaultfd',
      'warn',
      /setfacl/,
    ],
    ['no free huge pages', { hugePages: { total: 4, free: 0 } }, 'huge-pages', 'warn', /vm\.nr_hugepages/],
    ['shmem without huge pages', { shmemHugePages: 'never', kernel: '5.15.0' }, 'shmem-thp', 'warn', /shmem_enabled/],
    ['shmem with huge pages forbidden', { shmemHugePages: 'deny' }, 'shmem-thp', 'warn', /shmem_enabled/],
    ['little locked memory', { lockedMemoryBytes: 8 * 1024 ** 2 }, 'memlock', 'warn', /memlock unlimited/],
    ['no QEMU', { qemu: undefined }, 'qemu', 'warn', 'sudo apt install qemu-system-x86'],
  ])('answers %s with a remedy', (_, facts, id, status, remedy) => {
    const check = checkOf(facts, id);
    expect(check?.status).toBe(status);
    expect(check?.remedy).toMatch(remedy);
  });

  test('names the capability that is missing', () => {
    const kvm = { apiVersion: 12, capabilities: { KVM_CAP_XCRS: 0, KVM_CAP_DEBUGREGS: 0 } };
    expect(checkOf({ probe: { ...probe, kvm } }, 'kvm')?.summary).toBe('this KVM lacks XCRS, DEBUGREGS');
  });
});

test('the text has one line a check, the remedy below, and the verdict', () => {
  const checks = systemChecks({ ...good, kvmDevice: 'absent', qemu: undefined });
  const lines = doctorText(checks, false).split('\n');
  expect(lines).toContain('fail  KVM: /dev/kvm is not there');
  expect(lines).toContain('      remedy: sudo modprobe kvm_amd');
  expect(lines.at(-2)).toBe('This box cannot run godwit demo yet: 1 to repair.');
  expect(doctorText(systemChecks(good), false)).toMatch(/\nThis box can run godwit demo\.\n$/);
});

test('the kernel’s files are read as they are', () => {
  expect(chosenValue('always within_size advise [never] deny force\n')).toBe('never');
  expect(memAvailableBytes('MemTotal: 100 kB\nMemAvailable:    2048 kB\n')).toBe(2048 * 1024);
  expect(
    lockedMemoryBytes(
      'Limit   Soft  Hard  Units\nMax locked memory         8388608              8388608              bytes\n',
    ),
  ).toBe(8388608);
  expect(lockedMemoryBytes('Max locked memory         unlimited            unlimited            bytes\n')).toBe(
    Number.POSITIVE_INFINITY,
  );
  expect(cpuFlag('flags\t\t: fpu svm sse\n')).toBe('svm');
  expect(cpuFlag('flags\t\t: fpu sse\n')).toBeUndefined();
});
