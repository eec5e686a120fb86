// SPDX-License-Identifier: Apache-2.0
/** Which of a CPU model's features a guest is shown on a host, and which register state comes with them. */
import type { CpuidEntry } from '../../native/index.ts';
import { featuresOf, FEATURES, findLeaf } from './cpu-features.ts';
import type { CpuModel } from './cpu-models.ts';
import { XSTATE_AVX, XSTATE_AVX512, XSTATE_PKRU, XSTATE_SSE, XSTATE_X87 } from './xsave-layout.ts';

/** `off`: no interrupt controller at all; `split`: local APICs in the kernel. */
export type Irqchip = 'off' | 'split';

/** A guest may always be told that it is one; older kernels do not list the bit. */
const HYPERVISOR = 'hypervisor';
const NEEDS_LOCAL_APIC = ['apic', 'x2apic', 'tsc-deadline'];
const NEEDS_XSAVE = ['xsaveopt', 'xsavec', 'xgetbv1', 'xsaves', 'xsaveerptr', 'pku'];
const NEEDS_AVX = ['avx2', 'fma', 'f16c', 'vaes', 'vpclmulqdq', 'avx-vnni', 'avx-ifma'];

/** The model's features that KVM has; without the state of a feature, none that uses it. */
export function shownFeatures(model: CpuModel, supported: readonly CpuidEntry[], irqchip: Irqchip): Set<string> {
  const available = featuresOf(supported).add(HYPERVISOR);
  const shown = new Set(model.features.filter((feature) => available.has(feature)));
  const hide = (names: readonly string[]) => names.forEach((name) => shown.delete(name));
  if (irqchip === 'off') hide(NEEDS_LOCAL_APIC);
  else shown.add('apic');
  const components = supportedComponents(supported);
  if (!shown.has('xsave')) hide(NEEDS_XSAVE);
  if ((components & XSTATE_PKRU) === 0n) hide(['pku']);
  if (!shown.has('xsave') || (components & XSTATE_AVX) === 0n) hide(['avx']);
  if (!shown.has('avx')) hide(NEEDS_AVX);
  if (!shown.has('avx2') || (components & XSTATE_AVX512) !== XSTATE_AVX512) hide(['avx512f']);
  if (!shown.has('avx512f')) hide(FEATURES.filter((name) => name.startsWith('avx512')));
  return shown;
}

function supportedComponents(supported: readonly CpuidEntry[]): bigint {
  const leaf = findLeaf(supported, 0x0d);
  return leaf === undefined ? 0n : (BigInt(leaf.edx) << 32n) | BigInt(leaf.eax);
}

/** XSAVE components that a guest with these features may enable. */
export function allowedXcr0(model: CpuModel, features: ReadonlySet<string>, supported: readonly CpuidEntry[]): bigint {
  if (!features.has('xsave')) return XSTATE_X87;
  let xcr0 = XSTATE_X87 | XSTATE_SSE;
  if (features.has('avx')) xcr0 |= XSTATE_AVX;
  if (features.has('avx512f')) xcr0 |= XSTATE_AVX512;
  if (features.has('pku')) xcr0 |= XSTATE_PKRU;
  return xcr0 & model.xcr0 & supportedComponents(supported);
}
