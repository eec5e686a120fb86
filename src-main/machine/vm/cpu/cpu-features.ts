// SPDX-License-Identifier: Apache-2.0
/**
 * CPU features by name, as QEMU's `-cpu` spells them, and the CPUID bit of each. Only features whose state the `cpu`
 * section carries, or that have none, are listed: what is not listed no guest is ever shown.
 */
import type { CpuidEntry } from '../../native/index.ts';

export type CpuidRegister = 'eax' | 'ebx' | 'ecx' | 'edx';

interface Word {
  readonly leaf: number;
  readonly index: number;
  readonly register: CpuidRegister;
  /** The bits that have a name. */
  readonly bits: readonly { readonly bit: number; readonly name: string }[];
}

/** @param names `bit name, bit name, …` */
function word(leaf: number, index: number, register: CpuidRegister, names: string): Word {
  const bits = names.split(', ').map((pair) => {
    const [bit = '', name = ''] = pair.split(' ');
    return { bit: Number(bit), name };
  });
  return { leaf, index, register, bits };
}

const WORDS: readonly Word[] = [
  word(
    1,
    0,
    'edx',
    '0 fpu, 1 vme, 2 de, 3 pse, 4 tsc, 5 msr, 6 pae, 8 cx8, 9 apic, 11 sep, 12 mtrr, 13 pge, ' +
      '15 cmov, 16 pat, 17 pse36, 19 clflush, 23 mmx, 24 fxsr, 25 sse, 26 sse2',
  ),
  word(
    1,
    0,
    'ecx',
    '0 sse3, 1 pclmulqdq, 9 ssse3, 12 fma, 13 cx16, 17 pcid, 19 sse4.1, 20 sse4.2, 21 x2apic, ' +
      '22 movbe, 23 popcnt, 24 tsc-deadline, 25 aes, 26 xsave, 28 avx, 29 f16c, 30 rdrand, ' +
      '31 hypervisor',
  ),
  word(
    7,
    0,
    'ebx',
    '0 fsgsbase, 1 tsc-adjust, 3 bmi1, 5 avx2, 7 smep, 8 bmi2, 9 erms, 10 invpcid, 16 avx512f, ' +
      '17 avx512dq, 18 rdseed, 19 adx, 20 smap, 21 avx512ifma, 23 clflushopt, 24 clwb, ' +
      '28 avx512cd, 29 sha-ni, 30 avx512bw, 31 avx512vl',
  ),
  word(
    7,
    0,
    'ecx',
    '1 avx512vbmi, 2 umip, 3 pku, 5 waitpkg, 6 avx512vbmi2, 8 gfni, 9 vaes, 10 vpclmulqdq, ' +
      '11 avx512vnni, 12 avx512bitalg, 14 avx512-vpopcntdq, 16 la57, 22 rdpid, 25 cldemote, ' +
      '27 movdiri, 28 movdir64b',
  ),
  word(
    7,
    0,
    'edx',
    '4 fsrm, 8 avx512-vp2intersect, 10 md-clear, 14 serialize, 23 avx512-fp16, 26 spec-ctrl, ' + '27 stibp, 31 ssbd',
  ),
  word(7, 1, 'eax', '4 avx-vnni, 5 avx512-bf16, 7 cmpccxadd, 10 fzrm, 11 fsrs, 12 fsrc, 23 avx-ifma'),
  word(0x0d, 1, 'eax', '0 xsaveopt, 1 xsavec, 2 xgetbv1, 3 xsaves'),
  word(0x80000001, 0, 'edx', '11 syscall, 20 nx, 22 mmxext, 25 fxsr-opt, 26 pdpe1gb, 27 rdtscp, 29 lm'),
  word(0x80000001, 0, 'ecx', '0 lahf-lm, 5 abm, 6 sse4a, 7 misalignsse, 8 3dnowprefetch'),
  word(0x80000008, 0, 'ebx', '0 clzero, 2 xsaveerptr, 9 wbnoinvd, 12 ibpb, 14 ibrs, 15 amd-stibp, 24 amd-ssbd'),
];

/** On AMD these repeat the bits of leaf 1 EDX in leaf 80000001h EDX. */
export const AMD_REPEATED_EDX = 0x0183f3ff;

/** Every known feature, in the order of the table. */
export const FEATURES: readonly string[] = WORDS.flatMap(({ bits }) => bits.map(({ name }) => name));

/** The features that a set of CPUID entries has. */
export function featuresOf(entries: readonly CpuidEntry[]): Set<string> {
  const found = new Set<string>();
  for (const { leaf, index, register, bits } of WORDS) {
    const value = findLeaf(entries, leaf, index)?.[register] ?? 0;
    for (const { bit, name } of bits) {
      if (((value >>> bit) & 1) === 1) found.add(name);
    }
  }
  return found;
}

/** A register of a feature leaf that holds exactly these features. */
export function featureWord(
  features: ReadonlySet<string>,
  leaf: number,
  index: number,
  register: CpuidRegister,
): number {
  const found = WORDS.find((entry) => entry.leaf === leaf && entry.index === index && entry.register === register);
  let value = 0;
  for (const { bit, name } of found?.bits ?? []) {
    if (features.has(name)) value |= 1 << bit;
  }
  return value >>> 0;
}

/** Features that a guest needs and a machine does not have, in the order in which they are needed. */
export function missingFeatures(needed: readonly string[], available: readonly string[]): string[] {
  const have = new Set(available);
  return needed.filter((name) => !have.has(name));
}

export function findLeaf(entries: readonly CpuidEntry[], leaf: number, index = 0): CpuidEntry | undefined {
  return entries.find((entry) => entry.function === leaf && entry.index === index);
}
