// SPDX-License-Identifier: Apache-2.0
/**
 * A stream does not carry CPUID, so a destination judges by the state: registers that only a feature can have set name
 * the feature that its CPU model lacks.
 */
import type { CpuState } from '../sections/cpu.ts';
import type { BuiltCpuid } from './cpuid.ts';
import { XSTATE_AVX, XSTATE_AVX512, XSTATE_NAMES, XSTATE_PKRU, XSTATE_SSE, XSTATE_X87 } from './xsave-layout.ts';

type BitFeatures = ReadonlyMap<number, string | undefined>;

/** Feature behind each bit; undefined: every CPU in long mode has it. */
const CR4: BitFeatures = new Map([
  [0, 'vme'],
  [1, 'vme'],
  [2, 'tsc'],
  [3, 'de'],
  [4, 'pse'],
  [5, 'pae'],
  [6, 'mce'],
  [7, 'pge'],
  [8, undefined],
  [9, 'fxsr'],
  [10, 'sse'],
  [11, 'umip'],
  [12, 'la57'],
  [13, 'vmx'],
  [14, 'smx'],
  [16, 'fsgsbase'],
  [17, 'pcid'],
  [18, 'xsave'],
  [20, 'smep'],
  [21, 'smap'],
  [22, 'pku'],
  [23, 'cet'],
  [24, 'pks'],
  [25, 'uintr'],
  [28, 'lam'],
  [32, 'fred'],
]);

const CR4_PKE = 22n;

const EFER: BitFeatures = new Map([
  [0, 'syscall'],
  [8, 'lm'],
  [10, 'lm'],
  [11, 'nx'],
  [12, 'svm'],
  [13, 'lmsle'],
  [14, 'fxsr-opt'],
  [15, 'tce'],
  [17, 'mcommit'],
  [18, 'intwb'],
  [20, 'uai'],
  [21, 'auto-ibrs'],
]);

/** XSAVE components by the feature that brings them. */
const COMPONENTS: readonly (readonly [mask: bigint, feature: string])[] = [
  [XSTATE_AVX, 'avx'],
  [0b11000n, 'mpx'],
  [XSTATE_AVX512, 'avx512f'],
  [1n << 8n, 'intel-pt'],
  [XSTATE_PKRU, 'pku'],
  [0b11n << 11n, 'cet'],
  [0b11n << 17n, 'amx-tile'],
];

/** Registers that stay 0 on a CPU without any of the features. */
const REGISTERS: readonly (readonly [used: (cpu: CpuState) => boolean, anyOf: readonly [string, ...string[]]])[] = [
  [(cpu) => cpu.pkru !== 0 && canReachPkru(cpu), ['pku']],
  [(cpu) => cpu.tscAux !== 0n, ['rdtscp', 'rdpid']],
  [(cpu) => cpu.tscAdjust !== 0n, ['tsc-adjust']],
  [(cpu) => cpu.tscDeadline !== 0n, ['tsc-deadline']],
  [(cpu) => cpu.umwait !== 0, ['waitpkg']],
  [(cpu) => cpu.specCtrl !== 0n, ['spec-ctrl', 'ibrs', 'stibp', 'amd-stibp', 'ssbd', 'amd-ssbd']],
  [(cpu) => (cpu.systemTimeMsr & 1n) !== 0n, ['kvmclock']],
  [(cpu) => (cpu.asyncPfMsr & 1n) !== 0n, ['kvm-asyncpf']],
  [(cpu) => (cpu.stealTimeMsr & 1n) !== 0n, ['kvm-steal-time']],
  [(cpu) => (cpu.pvEoiMsr & 1n) !== 0n, ['kvm-pv-eoi']],
];

/** Names of the features that the state uses and the model does not have; empty when the state fits. */
export function checkStateAgainstModel(cpu: CpuState, model: Pick<BuiltCpuid, 'features' | 'xcr0'>): string[] {
  const available = new Set(model.features);
  const missing = new Set<string>();
  const need = (feature: string) => {
    if (!available.has(feature)) missing.add(feature);
  };
  for (const feature of bitFeatures(cpu.cr4, CR4, 'CR4')) need(feature);
  for (const feature of bitFeatures(cpu.efer, EFER, 'EFER')) need(feature);
  if (cpu.xcr0 !== XSTATE_X87) need('xsave');
  const inUse = cpu.xcr0 | (canReachPkru(cpu) ? cpu.xstateBv : cpu.xstateBv & ~XSTATE_PKRU);
  const components = (inUse & ~(model.xcr0 | XSTATE_X87 | XSTATE_SSE)) | cpu.xss;
  for (const feature of componentFeatures(components)) {
    missing.add(feature);
  }
  for (const [used, anyOf] of REGISTERS) {
    if (used(cpu) && !anyOf.some((feature) => available.has(feature))) missing.add(anyOf[0]);
  }
  return [...missing];
}

/** Else PKRU is what the source's host had there: KVM hands it out for every guest. */
function canReachPkru(cpu: CpuState): boolean {
  return ((cpu.cr4 >> CR4_PKE) & 1n) === 1n || (cpu.xcr0 & XSTATE_PKRU) !== 0n;
}

function bitFeatures(value: bigint, names: BitFeatures, register: string): string[] {
  return setBits(value).flatMap((bit) => {
    if (!names.has(bit)) return [`${register} bit ${bit}`];
    return names.get(bit) ?? [];
  });
}

function componentFeatures(components: bigint): string[] {
  const named = COMPONENTS.filter(([mask]) => (components & mask) !== 0n).map(([, feature]) => feature);
  const known = COMPONENTS.reduce((all, [mask]) => all | mask, 0n);
  const others = setBits(components & ~known).map((bit) => `XSAVE component ${XSTATE_NAMES.get(bit) ?? bit}`);
  return [...named, ...others];
}

function setBits(value: bigint): number[] {
  return Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => ((value >> BigInt(bit)) & 1n) === 1n);
}
