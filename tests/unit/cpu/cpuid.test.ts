// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';

import type { CpuidEntry } from '../../../src-main/machine/native/index.ts';
import { FEATURES, featuresOf, findLeaf, missingFeatures } from '../../../src-main/machine/vm/cpu/cpu-features.ts';
import {
  CPU_MODEL_NAMES,
  cpuModel,
  DEFAULT_CPU_MODEL,
  isCpuModelName,
} from '../../../src-main/machine/vm/cpu/cpu-models.ts';
import { cpuTraits } from '../../../src-main/machine/vm/cpu/cpu-traits.ts';
import { buildCpuid } from '../../../src-main/machine/vm/cpu/cpuid.ts';
import { XSTATE_CARRIED } from '../../../src-main/machine/vm/cpu/xsave-layout.ts';
import { seeded } from '../vmstate/seeded.ts';
import { EPYC_WITHOUT_XSAVE, EVERYTHING, someHost } from './hosts.ts';

function word(
  entries: readonly CpuidEntry[],
  leaf: number,
  register: 'eax' | 'ebx' | 'ecx' | 'edx',
  index = 0,
): number {
  const entry = findLeaf(entries, leaf, index);
  if (entry === undefined) throw new Error(`no leaf ${leaf.toString(16)}h`);
  return entry[register];
}

function vendorText(entries: readonly CpuidEntry[], leaf: number): string {
  const bytes = Buffer.alloc(12);
  (['ebx', 'edx', 'ecx'] as const).forEach((name, index) => bytes.writeUInt32LE(word(entries, leaf, name), index * 4));
  return bytes.toString('latin1');
}

const has = (value: number, bit: number) => ((value >>> bit) & 1) === 1;

describe('the models', () => {
  it('are three, x86-64-v2 by default', () => {
    expect(CPU_MODEL_NAMES).toEqual(['x86-64-v2', 'x86-64-v3', 'host']);
    expect(DEFAULT_CPU_MODEL).toBe('x86-64-v2');
    expect(isCpuModelName('host')).toBe(true);
    expect(isCpuModelName('pentium')).toBe(false);
  });

  it('name only features that have a CPUID bit, each once', () => {
    for (const name of CPU_MODEL_NAMES) {
      const { features } = cpuModel(name);
      expect(missingFeatures(features, FEATURES)).toEqual([]);
      expect(new Set(features).size).toBe(features.length);
    }
  });

  it('contain the level of the ABI that they are named for', () => {
    const v2 = ['cmov', 'cx8', 'fpu', 'fxsr', 'mmx', 'sse', 'sse2', 'syscall', 'cx16', 'lahf-lm', 'popcnt', 'sse3'];
    const v3 = [...v2, 'sse4.1', 'sse4.2', 'ssse3', 'avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe'];
    expect(missingFeatures(v2, buildCpuid('x86-64-v2', EVERYTHING).features)).toEqual([]);
    expect(missingFeatures(v3, buildCpuid('x86-64-v3', EVERYTHING).features)).toEqual([]);
    expect(buildCpuid('x86-64-v2', EVERYTHING).features).not.toContain('avx');
  });
});

describe('the CPUID of a model', () => {
  it.each(CPU_MODEL_NAMES)('%s shows the host its vendor and the signature of KVM', (name) => {
    const amd = buildCpuid(name, EPYC_WITHOUT_XSAVE).entries;
    const intel = buildCpuid(name, EVERYTHING).entries;
    expect([vendorText(amd, 0), vendorText(intel, 0)]).toEqual(['AuthenticAMD', 'GenuineIntel']);
    expect(vendorText(amd, 0x80000000)).toBe('AuthenticAMD');
    const signature = findLeaf(amd, 0x40000000);
    expect(signature).toMatchObject({ eax: 0x40000001, ebx: 0x4b4d564b, ecx: 0x564b4d56, edx: 0x4d });
    expect(word(amd, 0x40000001, 'eax')).toBe(2);
    expect(has(word(amd, 1, 'ecx'), 31)).toBe(true);
  });

  it('is of a generic family unless it is the host', () => {
    expect(word(buildCpuid('x86-64-v3', EVERYTHING).entries, 1, 'eax')).toBe(0xf61);
    expect(word(buildCpuid('x86-64-v3', EPYC_WITHOUT_XSAVE).entries, 1, 'eax')).toBe(0x60fb1);
    expect(word(buildCpuid('host', EVERYTHING).entries, 1, 'eax')).toBe(0x806f8);
  });

  it('shows nothing whose state the stream cannot carry, even where the host has everything', () => {
    const { entries, xcr0 } = buildCpuid('host', EVERYTHING, { irqchip: 'split' });
    const leaf1 = { ecx: word(entries, 1, 'ecx'), edx: word(entries, 1, 'edx') };
    const leaf7 = { ebx: word(entries, 7, 'ebx'), ecx: word(entries, 7, 'ecx'), edx: word(entries, 7, 'edx') };
    const vmx = has(leaf1.ecx, 5);
    const [mce, mca] = [has(leaf1.edx, 7), has(leaf1.edx, 14)];
    const [sgx, hle, mpx, pt] = [2, 4, 14, 25].map((bit) => has(leaf7.ebx, bit));
    const [cet, pks] = [7, 31].map((bit) => has(leaf7.ecx, bit));
    const [archCapabilities, amxBf16, amxTile, amxInt8] = [29, 22, 24, 25].map((bit) => has(leaf7.edx, bit));
    const shown = { vmx, mce, mca, sgx, hle, mpx, pt, cet, pks, archCapabilities, amxBf16, amxTile, amxInt8 };
    expect(Object.entries(shown).filter(([, value]) => value)).toEqual([]);
    expect(has(word(entries, 0x80000001, 'ecx'), 2)).toBe(false);
    expect(findLeaf(entries, 0x0a)).toBeUndefined();
    expect(xcr0).toBe(XSTATE_CARRIED);
  });

  it('describes the XSAVE image of exactly the components it allows', () => {
    const image = (name: 'x86-64-v2' | 'x86-64-v3' | 'host') => {
      const { entries, xcr0 } = buildCpuid(name, EVERYTHING);
      const indices = entries.filter((entry) => entry.function === 0x0d).map(({ index }) => index);
      return { xcr0, eax: word(entries, 0x0d, 'eax'), ecx: word(entries, 0x0d, 'ecx'), indices };
    };
    expect(image('x86-64-v2')).toEqual({ xcr0: 3n, eax: 3, ecx: 576, indices: [0, 1] });
    expect(image('x86-64-v3')).toEqual({ xcr0: 7n, eax: 7, ecx: 832, indices: [0, 1, 2] });
    const host = image('host');
    expect(host).toEqual({ xcr0: 0x2e7n, eax: 0x2e7, ecx: 0xa88, indices: [0, 1, 2, 5, 6, 7, 9] });
  });

  it('has no XSAVE image and x87 alone in XCR0 where KVM offers no XSAVE', () => {
    const { entries, xcr0, features } = buildCpuid('host', EPYC_WITHOUT_XSAVE);
    expect(xcr0).toBe(1n);
    expect(findLeaf(entries, 0x0d)).toBeUndefined();
    expect(features).not.toContain('xsave');
    expect(features).not.toContain('avx');
  });

  it('shows an APIC only where the machine has one', () => {
    const apic = ['apic', 'x2apic', 'tsc-deadline'];
    expect(missingFeatures(apic, buildCpuid('host', EVERYTHING).features)).toEqual(apic);
    expect(missingFeatures(apic, buildCpuid('x86-64-v2', EVERYTHING, { irqchip: 'split' }).features)).toEqual([]);
  });

  it('tells the number of vCPUs', () => {
    const { entries } = buildCpuid('x86-64-v2', EPYC_WITHOUT_XSAVE, { vcpus: 6 });
    expect((word(entries, 1, 'ebx') >>> 16) & 0xff).toBe(6);
    expect(has(word(entries, 1, 'edx'), 28)).toBe(true);
    expect(findLeaf(entries, 0x0b, 1)).toMatchObject({ eax: 3, ebx: 6, ecx: 0x201 });
    expect(word(entries, 0x80000008, 'ecx')).toBe(5);
    expect(has(word(buildCpuid('x86-64-v2', EVERYTHING).entries, 1, 'edx'), 28)).toBe(false);
  });

  it('has 40 address bits unless memory or the host wants otherwise', () => {
    const bits = (name: 'x86-64-v2' | 'host', memoryBytes = 0) =>
      word(buildCpuid(name, EVERYTHING, { memoryBytes }).entries, 0x80000008, 'eax');
    expect(bits('x86-64-v2') & 0xff).toBe(40);
    expect(bits('x86-64-v2', 2 ** 41 + 1) & 0xff).toBe(42);
    expect(bits('x86-64-v2', 2 ** 60) & 0xff).toBe(0x34);
    expect(bits('host') & 0xff).toBe(0x34);
    expect(bits('host') >>> 8).toBe(57);
    expect(bits('x86-64-v2') >>> 8).toBe(48);
  });

  it('has a brand', () => {
    const { entries } = buildCpuid('x86-64-v2', EVERYTHING);
    const brand = Buffer.alloc(48);
    [2, 3, 4].forEach((leaf, row) =>
      (['eax', 'ebx', 'ecx', 'edx'] as const).forEach((register, column) =>
        brand.writeUInt32LE(word(entries, 0x80000000 + leaf, register), row * 16 + column * 4),
      ),
    );
    expect(brand.toString('latin1').replace(/\0+$/, '')).toBe('Godwit x86-64-v2');
    expect(word(buildCpuid('host', EVERYTHING).entries, 0x80000002, 'eax')).toBe(0x74736554);
  });
});

describe('on any host', () => {
  const rounds = Array.from({ length: 60 }, (_, round) => seeded(3000 + round));

  it.each(rounds)('a model shows what the host has and no more, seed $seed', (random) => {
    const supported = someHost(random);
    for (const name of CPU_MODEL_NAMES) {
      const { entries, features, xcr0 } = buildCpuid(name, supported, { irqchip: 'split' });
      const available = [...featuresOf(supported), 'apic', 'hypervisor'];
      expect(missingFeatures(features, available)).toEqual([]);
      expect([...featuresOf(entries)].sort()).toEqual([...features].sort());
      const { xcr0: allowed } = cpuModel(name);
      expect(xcr0 & ~allowed).toBe(0n);
      expect(xcr0 & ~BigInt(word(supported, 0x0d, 'eax'))).toBe(0n);
      expect(features.includes('avx')).toBe((xcr0 & 4n) !== 0n);
      expect(features.some((feature) => feature.startsWith('avx512'))).toBe((xcr0 & 0xe0n) !== 0n);
      expect(features.includes('pku')).toBe((xcr0 & 0x200n) !== 0n);
    }
  });
});

describe('comparing two machines', () => {
  it('names what is missing in the order in which it is needed', () => {
    expect(missingFeatures(['sse3', 'avx', 'aes'], ['sse3'])).toEqual(['avx', 'aes']);
    expect(missingFeatures([], [])).toEqual([]);
  });

  it('takes the image layout from the host and the address bits from the guest', () => {
    const guest = buildCpuid('x86-64-v2', EPYC_WITHOUT_XSAVE).entries;
    expect(cpuTraits(EPYC_WITHOUT_XSAVE, guest)).toEqual({
      xsave: { avx: 0x240, opmask: 0x340, zmmHigh: 0x380, hi16Zmm: 0x580, pkru: undefined },
      components: 3n,
      physicalAddressBits: 40,
      mcgCap: 0n,
    });
  });
});
