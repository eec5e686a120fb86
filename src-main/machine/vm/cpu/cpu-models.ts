// SPDX-License-Identifier: Apache-2.0
/** Named CPU models: which features a guest is shown, as far as KVM has them. */
import { FEATURES } from './cpu-features.ts';
import { XSTATE_AVX, XSTATE_CARRIED, XSTATE_SSE, XSTATE_X87 } from './xsave-layout.ts';

export const CPU_MODEL_NAMES = ['x86-64-v2', 'x86-64-v3', 'host'] as const;
export type CpuModelName = (typeof CPU_MODEL_NAMES)[number];
export const DEFAULT_CPU_MODEL: CpuModelName = 'x86-64-v2';

export interface CpuModel {
  readonly name: CpuModelName;
  readonly features: readonly string[];
  /** XSAVE components that the model allows. */
  readonly xcr0: bigint;
  /** Family, model and stepping of the host rather than of a generic CPU. */
  readonly hostSignature: boolean;
}

/** Levels of the x86-64 ABI, and what any 64-bit kernel expects beside them. */
const BASE = ['fpu', 'de', 'pse', 'tsc', 'msr', 'pae', 'cx8', 'sep', 'mtrr', 'pge', 'cmov', 'pat', 'pse36', 'clflush'];
const BASE_VECTORS = ['mmx', 'fxsr', 'sse', 'sse2', 'syscall', 'nx', 'lm', 'rdtscp', 'hypervisor'];
const INTERRUPTS = ['apic', 'x2apic', 'tsc-deadline'];
const LEVEL_2 = ['cx16', 'lahf-lm', 'popcnt', 'sse3', 'ssse3', 'sse4.1', 'sse4.2', 'xsave'];
const LEVEL_3 = ['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe'];

const V2 = [...BASE, ...BASE_VECTORS, ...INTERRUPTS, ...LEVEL_2];
const LEGACY_STATE = XSTATE_X87 | XSTATE_SSE;

const MODELS: Readonly<Record<CpuModelName, Omit<CpuModel, 'name'>>> = {
  'x86-64-v2': { features: V2, xcr0: LEGACY_STATE, hostSignature: false },
  'x86-64-v3': { features: [...V2, ...LEVEL_3], xcr0: LEGACY_STATE | XSTATE_AVX, hostSignature: false },
  host: { features: FEATURES, xcr0: XSTATE_CARRIED, hostSignature: true },
};

export function cpuModel(name: CpuModelName): CpuModel {
  return { name, ...MODELS[name] };
}

export function isCpuModelName(name: string): name is CpuModelName {
  return (CPU_MODEL_NAMES as readonly string[]).includes(name);
}
