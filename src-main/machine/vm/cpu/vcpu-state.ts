// SPDX-License-Identifier: Apache-2.0
/** The mapping between the state of a vCPU as KVM gives and takes it, and its sections in the stream. */
export { cpuTraits, DEFAULT_TRAITS } from './cpu-traits.ts';
export type { CpuTraits } from './cpu-traits.ts';
export { migratedMsrs } from './msrs.ts';
export { sectionsToVcpu } from './sections-to-vcpu.ts';
export { vcpuToSections } from './vcpu-to-sections.ts';
export type { VcpuSections } from './vcpu-to-sections.ts';
