// SPDX-License-Identifier: Apache-2.0
/** Judges the facts: can this box do it, and what would help. Pure. */
import { formatBytes } from '../../../src-shared/sizes.ts';
import type { SystemFacts } from './facts.ts';

export interface SystemCheck {
  readonly id: string;
  readonly title: string;
  /** `fail`: the demo cannot run. `warn`: it can, but something that Godwit can use is missing. */
  readonly status: 'ok' | 'warn' | 'fail';
  readonly summary: string;
  /** A command, or what to do. */
  readonly remedy?: string;
}

/** Without these a vCPU's state cannot be moved, or the vCPU cannot be stopped promptly. */
const NEEDED_CAPABILITIES = [
  'USER_MEMORY',
  'IMMEDIATE_EXIT',
  'XSAVE',
  'XCRS',
  'VCPU_EVENTS',
  'DEBUGREGS',
  'EXT_CPUID',
] as const;
/** Two machines of the demo's default size, and room to work. */
const DEMO_MEMORY_BYTES = 768 * 1024 ** 2;
/** Zero-copy sending pins what is under way. */
const USEFUL_LOCKED_BYTES = 64 * 1024 ** 2;

/** Every check, in the order in which a reader would ask. */
export function systemChecks(facts: SystemFacts): SystemCheck[] {
  return [
    nodeCheck(facts),
    addonCheck(facts),
    kvmCheck(facts),
    dirtyTrackingCheck(facts),
    memoryCheck(facts),
    runtimeDirCheck(facts),
    userfaultfdCheck(facts),
    hugePagesCheck(facts),
    shmemCheck(facts),
    lockedMemoryCheck(facts),
    qemuCheck(facts),
  ];
}

type Verdict = Omit<SystemCheck, 'id' | 'title'>;
const named = (id: string, title: string, verdict: Verdict): SystemCheck => ({ id, title, ...verdict });

function nodeCheck({ node, arch }: SystemFacts): SystemCheck {
  const supported = Number(node.split('.')[0]) >= 24 && arch === 'x64';
  return named('node', 'Node.js', {
    status: supported ? 'ok' : 'fail',
    summary: `${node}, ${arch}`,
    ...(!supported && { remedy: 'start Godwit with npm start on an x86-64 Linux box: it brings Node 24 along' }),
  });
}

function addonCheck({ probe }: SystemFacts): SystemCheck {
  if ('error' in probe) {
    return named('addon', 'Native addon', {
      status: 'fail',
      summary: `a machine process cannot start: ${probe.error}`,
      remedy: 'npm start (builds it; needs g++, make and python3)',
    });
  }
  return named('addon', 'Native addon', { status: 'ok', summary: `loaded, zero pages found with ${probe.zeroScan}` });
}

function kvmCheck(facts: SystemFacts): SystemCheck {
  const title = 'KVM';
  if (facts.kvmDevice === 'absent') {
    const module = facts.cpuVirtualization === 'svm' ? 'kvm_amd' : 'kvm_intel';
    const remedy =
      facts.cpuVirtualization === undefined
        ? 'switch on virtualization (VT-x or AMD-V) in the firmware, or nested virtualization in the host of this VM'
        : `sudo modprobe ${module}`;
    return named('kvm', title, { status: 'fail', summary: '/dev/kvm is not there', remedy });
  }
  if (facts.kvmDevice === 'denied') {
    const remedy = 'sudo usermod -aG kvm "$USER", then log in again';
    return named('kvm', title, { status: 'fail', summary: '/dev/kvm is there, but not for this user', remedy });
  }
  if ('error' in facts.probe) {
    return named('kvm', title, { status: 'warn', summary: '/dev/kvm is accessible; not probed (see Native addon)' });
  }
  const { kvm, kvmError } = facts.probe;
  if (kvm === null) {
    const remedy = 'end other programs that hold virtualization (VirtualBox, VMware), then run godwit doctor again';
    return named('kvm', title, { status: 'fail', summary: kvmError ?? '/dev/kvm cannot be used', remedy });
  }
  const missing = NEEDED_CAPABILITIES.filter((name) => capability(kvm.capabilities, name) === 0);
  if (missing.length > 0) {
    const remedy = 'use a kernel of 4.13 or newer with KVM built in full';
    return named('kvm', title, { status: 'fail', summary: `this KVM lacks ${missing.join(', ')}`, remedy });
  }
  return named('kvm', title, { status: 'ok', summary: `/dev/kvm, API ${String(kvm.apiVersion)}` });
}

/** The value of a capability; undefined when the report does not mention it. */
function capability(capabilities: Readonly<Record<string, number>>, name: string): number | undefined {
  return capabilities[name] ?? capabilities[`KVM_CAP_${name}`];
}

function dirtyTrackingCheck({ probe }: SystemFacts): SystemCheck {
  const title = 'Dirty tracking';
  if ('error' in probe || probe.kvm === null) {
    return named('dirty-tracking', title, { status: 'warn', summary: 'not known without KVM' });
  }
  const { capabilities } = probe.kvm;
  const manual = (capability(capabilities, 'MANUAL_DIRTY_LOG_PROTECT2') ?? 0) > 0;
  const ring =
    (capability(capabilities, 'DIRTY_LOG_RING') ?? 0) > 0 ||
    (capability(capabilities, 'DIRTY_LOG_RING_ACQ_REL') ?? 0) > 0;
  if (manual) {
    return named('dirty-tracking', title, {
      status: 'ok',
      summary: `dirty log with manual protect${ring ? ', dirty ring' : ''}`,
    });
  }
  return named('dirty-tracking', title, {
    status: 'warn',
    summary: 'plain dirty log: passes over a busy guest cost more',
    remedy: 'use a kernel of 5.1 or newer',
  });
}

function memoryCheck({ memAvailableBytes }: SystemFacts): SystemCheck {
  if (memAvailableBytes === undefined) {
    return named('memory', 'Memory', { status: 'warn', summary: 'the kernel does not tell how much is available' });
  }
  const enough = memAvailableBytes >= DEMO_MEMORY_BYTES;
  return named('memory', 'Memory', {
    status: enough ? 'ok' : 'fail',
    summary: `${formatBytes(memAvailableBytes)} available; the demo's two machines need ${formatBytes(DEMO_MEMORY_BYTES)}`,
    ...(!enough && { remedy: 'end other programs, or godwit demo --memory 64M' }),
  });
}

function runtimeDirCheck({ runtimeDir }: SystemFacts): SystemCheck {
  if ('error' in runtimeDir) {
    return named('runtime-dir', 'Runtime folder', {
      status: 'fail',
      summary: runtimeDir.error,
      remedy: 'export GODWIT_HOME=/tmp/godwit-home',
    });
  }
  return named('runtime-dir', 'Runtime folder', { status: 'ok', summary: `${runtimeDir.path}, mode 0700` });
}

function userfaultfdCheck(facts: SystemFacts): SystemCheck {
  const title = 'userfaultfd';
  const { probe } = facts;
  if (!('error' in probe) && probe.userfaultfd !== null) {
    return named('userfaultfd', title, {
      status: 'ok',
      summary: `through the ${probe.userfaultfd.through === 'device' ? 'device' : 'system call'}`,
    });
  }
  if ('error' in probe)
    return named('userfaultfd', title, { status: 'warn', summary: 'not probed (see Native addon)' });
  const reason = probe.userfaultfdError ?? 'not available';
  const remedy =
    facts.userfaultfdDevice === 'denied'
      ? 'sudo setfacl -m "u:$USER:rw" /dev/userfaultfd'
      : facts.unprivilegedUserfaultfd === 0 && !facts.isRoot
        ? 'sudo sysctl vm.unprivileged_userfaultfd=1'
        : 'use a kernel with CONFIG_USERFAULTFD';
  return named('userfaultfd', title, { status: 'warn', summary: `${reason}: no postcopy`, remedy });
}

function hugePagesCheck({ hugePages }: SystemFacts): SystemCheck {
  const title = 'Huge pages';
  if (hugePages === undefined) {
    return named('huge-pages', title, { status: 'warn', summary: 'this kernel has no huge pages of 2 MiB' });
  }
  const summary = `${String(hugePages.free)} of ${String(hugePages.total)} pages of 2 MiB free`;
  if (hugePages.free > 0) return named('huge-pages', title, { status: 'ok', summary });
  return named('huge-pages', title, {
    status: 'warn',
    summary: `${summary}: --huge-pages cannot be used`,
    remedy: 'sudo sysctl vm.nr_hugepages=256 (reserves 512 MiB)',
  });
}

/** MADV_COLLAPSE makes huge pages whatever the setting says, `deny` excepted (madvise(2)). */
const COLLAPSE_SINCE = [6, 1] as const;

function canCollapse(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  return major > COLLAPSE_SINCE[0] || (major === COLLAPSE_SINCE[0] && minor >= COLLAPSE_SINCE[1]);
}

function shmemCheck({ shmemHugePages, kernel }: SystemFacts): SystemCheck {
  const title = 'Transparent huge pages for shared memory';
  if (shmemHugePages === undefined) {
    return named('shmem-thp', title, { status: 'warn', summary: 'not offered by this kernel' });
  }
  if (shmemHugePages !== 'never' && shmemHugePages !== 'deny') {
    return named('shmem-thp', title, { status: 'ok', summary: shmemHugePages });
  }
  if (shmemHugePages === 'never' && canCollapse(kernel)) {
    return named('shmem-thp', title, { status: 'ok', summary: `never, but Linux ${kernel} gives them when asked` });
  }
  return named('shmem-thp', title, {
    status: 'warn',
    summary: `${shmemHugePages}: filling guest memory is slower`,
    remedy: 'echo advise | sudo tee /sys/kernel/mm/transparent_hugepage/shmem_enabled',
  });
}

function lockedMemoryCheck({ lockedMemoryBytes, isRoot }: SystemFacts): SystemCheck {
  const title = 'Locked memory';
  if (isRoot) return named('memlock', title, { status: 'ok', summary: 'no limit for root' });
  if (lockedMemoryBytes === undefined)
    return named('memlock', title, { status: 'warn', summary: 'the limit is not known' });
  if (lockedMemoryBytes === Number.POSITIVE_INFINITY)
    return named('memlock', title, { status: 'ok', summary: 'no limit' });
  const summary = `at most ${formatBytes(lockedMemoryBytes)}`;
  if (lockedMemoryBytes >= USEFUL_LOCKED_BYTES) return named('memlock', title, { status: 'ok', summary });
  return named('memlock', title, {
    status: 'warn',
    summary: `${summary}: too little for zero-copy sending`,
    remedy: `echo "$USER - memlock unlimited" | sudo tee /etc/security/limits.d/godwit.conf, then log in again`,
  });
}

function qemuCheck({ qemu }: SystemFacts): SystemCheck {
  if (qemu !== undefined) return named('qemu', 'QEMU', { status: 'ok', summary: qemu });
  return named('qemu', 'QEMU', {
    status: 'warn',
    summary: 'qemu-system-x86_64 is not on PATH: only Godwit machines can be moved',
    remedy: 'sudo apt install qemu-system-x86',
  });
}
