// SPDX-License-Identifier: Apache-2.0
/** The CPUID of a model on a host: pure, from what KVM supports. */
import type { CpuidEntry } from '../../native/index.ts';
import { AMD_REPEATED_EDX, featureWord, FEATURES, findLeaf } from './cpu-features.ts';
import { cpuModel } from './cpu-models.ts';
import type { CpuModel, CpuModelName } from './cpu-models.ts';
import type { Irqchip } from './shown-features.ts';
import { allowedXcr0, shownFeatures } from './shown-features.ts';

export interface CpuidOptions {
  /** Number of vCPUs; 1 where absent. */
  readonly vcpus?: number;
  /** End of guest memory, bytes: the address bits reach that far. */
  readonly memoryBytes?: number;
  /** `off` hides the local APIC and what hangs on it. */
  readonly irqchip?: Irqchip;
}

export interface BuiltCpuid {
  readonly model: CpuModelName;
  readonly entries: CpuidEntry[];
  /** XSAVE components that the guest may enable; x87 alone where it has no XSAVE. */
  readonly xcr0: bigint;
  /** Names of the features that the guest is shown, in a fixed order. */
  readonly features: string[];
}

const SIGNIFICANT_INDEX = 1;
const MAX_BASIC_LEAF = 0x0d;
const MAX_EXTENDED_LEAF = 0x80000008;
const HYPERVISOR_LEAF = 0x40000000;
/** KVM_FEATURE_NOP_IO_DELAY: the one feature of KVM's own that needs no state. */
const KVM_FEATURES = 1 << 1;
const MIN_ADDRESS_BITS = 40;
const LINEAR_ADDRESS_BITS = 48;
const LINEAR_ADDRESS_BITS_LA57 = 57;
/** Family 15, model 6, stepping 1 and family 15, model 107, stepping 1: nothing that a guest has workarounds for. */
const GENERIC_SIGNATURE = 0x00000f61;
const GENERIC_SIGNATURE_AMD = 0x00060fb1;
const CLFLUSH_BYTES = 64;

/**
 * What the vCPUs of a machine are shown. The addon fills in each vCPU's APIC id (leaf 1 EBX, leaf 0Bh EDX).
 *
 * @param supported what KVM can give a guest, `supportedCpuid()`
 */
export function buildCpuid(
  name: CpuModelName,
  supported: readonly CpuidEntry[],
  options: CpuidOptions = {},
): BuiltCpuid {
  const { vcpus = 1, memoryBytes = 0, irqchip = 'off' } = options;
  const model = cpuModel(name);
  const features = shownFeatures(model, supported, irqchip);
  const xcr0 = allowedXcr0(model, features, supported);
  const host: Host = { supported, isAmd: isAmd(supported) };
  const entries = [
    ...basicLeaves(model, features, host, vcpus),
    ...(features.has('xsave') ? xsaveLeaves(features, xcr0, supported) : []),
    ...hypervisorLeaves(),
    ...extendedLeaves(model, features, host, memoryBytes, vcpus),
  ];
  return { model: name, entries, xcr0, features: FEATURES.filter((feature) => features.has(feature)) };
}

interface Host {
  readonly supported: readonly CpuidEntry[];
  readonly isAmd: boolean;
}

function basicLeaves(model: CpuModel, features: ReadonlySet<string>, host: Host, vcpus: number): CpuidEntry[] {
  const vendor = findLeaf(host.supported, 0);
  const { ebx = 0, ecx = 0, edx = 0 } = vendor ?? {};
  const generic = host.isAmd ? GENERIC_SIGNATURE_AMD : GENERIC_SIGNATURE;
  const signature = model.hostSignature ? (findLeaf(host.supported, 1)?.eax ?? generic) : generic;
  const hyperthreading = vcpus > 1 ? 1 << 28 : 0;
  return [
    leaf(0, 0, { eax: MAX_BASIC_LEAF, ebx, ecx, edx }),
    leaf(1, 0, {
      eax: signature,
      ebx: (vcpus << 16) | ((CLFLUSH_BYTES / 8) << 8),
      ecx: featureWord(features, 1, 0, 'ecx'),
      edx: featureWord(features, 1, 0, 'edx') | hyperthreading,
    }),
    indexed(7, 0, {
      eax: 1,
      ebx: featureWord(features, 7, 0, 'ebx'),
      ecx: featureWord(features, 7, 0, 'ecx'),
      edx: featureWord(features, 7, 0, 'edx'),
    }),
    indexed(7, 1, { eax: featureWord(features, 7, 1, 'eax') }),
    ...topologyLeaves(vcpus),
  ];
}

/** Leaf 0Bh: one thread a core, all cores in one package. */
function topologyLeaves(vcpus: number): CpuidEntry[] {
  const threadLevel = 1;
  const coreLevel = 2;
  return [
    indexed(0x0b, 0, { eax: 0, ebx: 1, ecx: threadLevel << 8 }),
    indexed(0x0b, 1, { eax: Math.ceil(Math.log2(vcpus)), ebx: vcpus, ecx: (coreLevel << 8) | 1 }),
  ];
}

/** Leaf 0Dh for the components of `xcr0`; KVM keeps the size for what is enabled now (EBX) up to date itself. */
function xsaveLeaves(features: ReadonlySet<string>, xcr0: bigint, supported: readonly CpuidEntry[]): CpuidEntry[] {
  const legacyBytes = 576;
  const components: CpuidEntry[] = [];
  let imageBytes = legacyBytes;
  for (let component = 2; component < 63; component++) {
    if (((xcr0 >> BigInt(component)) & 1n) === 0n) continue;
    const { eax: size = 0, ebx: offset = 0, ecx = 0 } = findLeaf(supported, 0x0d, component) ?? {};
    imageBytes = Math.max(imageBytes, offset + size);
    components.push(indexed(0x0d, component, { eax: size, ebx: offset, ecx }));
  }
  return [
    indexed(0x0d, 0, {
      eax: Number(xcr0 & 0xffffffffn),
      ebx: imageBytes,
      ecx: imageBytes,
      edx: Number(xcr0 >> 32n),
    }),
    indexed(0x0d, 1, { eax: featureWord(features, 0x0d, 1, 'eax') }),
    ...components,
  ];
}

function hypervisorLeaves(): CpuidEntry[] {
  const [ebx, ecx, edx] = textRegisters('KVMKVMKVM\0\0\0');
  return [
    leaf(HYPERVISOR_LEAF, 0, { eax: HYPERVISOR_LEAF + 1, ebx, ecx, edx }),
    leaf(HYPERVISOR_LEAF + 1, 0, { eax: KVM_FEATURES }),
  ];
}

function extendedLeaves(
  model: CpuModel,
  features: ReadonlySet<string>,
  host: Host,
  memoryBytes: number,
  vcpus: number,
): CpuidEntry[] {
  const { ebx = 0, ecx = 0, edx = 0 } = findLeaf(host.supported, 0) ?? {};
  const repeated = host.isAmd ? featureWord(features, 1, 0, 'edx') & AMD_REPEATED_EDX : 0;
  const linearBits = features.has('la57') ? LINEAR_ADDRESS_BITS_LA57 : LINEAR_ADDRESS_BITS;
  return [
    leaf(0x80000000, 0, { eax: MAX_EXTENDED_LEAF, ...(host.isAmd ? { ebx, ecx, edx } : {}) }),
    leaf(0x80000001, 0, {
      ecx: featureWord(features, 0x80000001, 0, 'ecx'),
      edx: featureWord(features, 0x80000001, 0, 'edx') | repeated,
    }),
    ...brandLeaves(model, host),
    leaf(MAX_EXTENDED_LEAF, 0, {
      eax: (linearBits << 8) | physicalAddressBits(model, host, memoryBytes),
      ebx: featureWord(features, MAX_EXTENDED_LEAF, 0, 'ebx'),
      ecx: host.isAmd ? vcpus - 1 : 0,
    }),
  ];
}

/** Leaves 80000002h–80000004h: 48 characters. */
function brandLeaves(model: CpuModel, { supported }: Host): CpuidEntry[] {
  const functions = [0x80000002, 0x80000003, 0x80000004];
  const hostBrand = functions.flatMap((number) => findLeaf(supported, number) ?? []);
  const named = hostBrand.length === functions.length && hostBrand.some(({ eax }) => eax !== 0);
  if (model.hostSignature && named) return hostBrand.map((entry) => leaf(entry.function, 0, entry));
  const words = textRegisters(`Godwit ${model.name}`.padEnd(48, '\0'));
  return functions.map((number, index) => {
    const [eax, ebx, ecx, edx] = words.slice(index * 4);
    return leaf(number, 0, { eax, ebx, ecx, edx });
  });
}

/** A named model shows 40 bits, so that a guest can move between hosts that have more, unless memory needs them. */
function physicalAddressBits(model: CpuModel, { supported }: Host, memoryBytes: number): number {
  const hostBits = (findLeaf(supported, MAX_EXTENDED_LEAF)?.eax ?? MIN_ADDRESS_BITS) & 0xff;
  if (model.hostSignature) return hostBits;
  const needed = Math.ceil(Math.log2(Math.max(memoryBytes, 1)));
  return Math.min(hostBits, Math.max(MIN_ADDRESS_BITS, needed));
}

function isAmd(supported: readonly CpuidEntry[]): boolean {
  const vendor = findLeaf(supported, 0);
  const known = ['AuthenticAMD', 'HygonGenuine'].map(textRegisters);
  return known.some(([ebx, edx, ecx]) => vendor?.ebx === ebx && vendor?.edx === edx && vendor?.ecx === ecx);
}

/** Text as CPUID gives it: four characters a register, the first in the low byte. */
function textRegisters(text: string): number[] {
  const bytes = Buffer.from(text, 'latin1');
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readUInt32LE(index * 4));
}

interface Registers {
  readonly eax?: number | undefined;
  readonly ebx?: number | undefined;
  readonly ecx?: number | undefined;
  readonly edx?: number | undefined;
}

function registers({ eax = 0, ebx = 0, ecx = 0, edx = 0 }: Registers) {
  return { eax: eax >>> 0, ebx: ebx >>> 0, ecx: ecx >>> 0, edx: edx >>> 0 };
}

function leaf(number: number, flags: number, values: Registers): CpuidEntry {
  return { function: number, index: 0, flags, ...registers(values) };
}

function indexed(number: number, index: number, values: Registers): CpuidEntry {
  return { function: number, index, flags: SIGNIFICANT_INDEX, ...registers(values) };
}
