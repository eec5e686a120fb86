// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';

import { loadSectionFromBytes } from '../../../src-main/machine/engine/vmstate/load.ts';
import { buildCpuid } from '../../../src-main/machine/vm/cpu/cpuid.ts';
import { checkStateAgainstModel } from '../../../src-main/machine/vm/cpu/state-check.ts';
import { resetState } from '../../../src-main/machine/vm/cpu/reset-state.ts';
import { DEFAULT_TRAITS, vcpuToSections } from '../../../src-main/machine/vm/cpu/vcpu-state.ts';
import { cpuTable } from '../../../src-main/machine/vm/sections/cpu.ts';
import type { CpuState } from '../../../src-main/machine/vm/sections/cpu.ts';
import { readStream } from '../vmstate/streams.ts';
import { EPYC_WITHOUT_XSAVE, EVERYTHING } from './hosts.ts';
import { freshVcpu } from './random-vcpu.ts';

const v2 = buildCpuid('x86-64-v2', EVERYTHING);
const v3 = buildCpuid('x86-64-v3', EVERYTHING);
const host = buildCpuid('host', EVERYTHING);

function started(xcr0: bigint, change: Partial<CpuState> = {}): CpuState {
  const state = resetState({ rip: 0x1000n, cr3: 0x2000n, xcr0 }, freshVcpu());
  return { ...vcpuToSections(state, DEFAULT_TRAITS).cpu, ...change };
}

describe('a state on a model that has all it needs', () => {
  it('fits', () => {
    expect(checkStateAgainstModel(started(3n), v2)).toEqual([]);
    expect(checkStateAgainstModel(started(7n), v3)).toEqual([]);
    expect(checkStateAgainstModel(started(1n), buildCpuid('x86-64-v2', EPYC_WITHOUT_XSAVE))).toEqual([]);
    expect(checkStateAgainstModel(started(0x2e7n, { xstateBv: 0x2e7n, pkru: 1, tscAux: 1n }), host)).toEqual([]);
  });

  it('fits although the source’s host had protection keys where the guest has none', () => {
    expect(checkStateAgainstModel(started(3n, { xstateBv: 0x203n, pkru: 0x55555554 }), v2)).toEqual([]);
  });

  it('fits a CPU without XSAVE although its x87 and SSE registers are in use', () => {
    const model = buildCpuid('host', EPYC_WITHOUT_XSAVE);
    expect(checkStateAgainstModel(started(1n, { xstateBv: 3n }), model)).toEqual([]);
  });
});

describe('a state that needs a feature which the model lacks is refused by its name', () => {
  const cr4 = (bit: number) => ({ cr4: started(1n).cr4 | (1n << BigInt(bit)) });
  const efer = (bit: number) => ({ efer: started(1n).efer | (1n << BigInt(bit)) });

  it.each([
    ['AVX enabled', { xcr0: 7n }, ['avx']],
    ['AVX registers in use', { xstateBv: 4n }, ['avx']],
    ['AVX-512 enabled', { xcr0: 0xe7n }, ['avx', 'avx512f']],
    ['AMX', { xcr0: 0x60003n }, ['amx-tile']],
    ['MPX', { xcr0: 0x1bn }, ['mpx']],
    ['a component without a name', { xcr0: (1n << 40n) | 3n }, ['XSAVE component 40']],
    ['protection keys', { ...cr4(22), pkru: 1 }, ['pku']],
    ['FSGSBASE', cr4(16), ['fsgsbase']],
    ['SMEP', cr4(20), ['smep']],
    ['57-bit addresses', cr4(12), ['la57']],
    ['machine check', cr4(6), ['mce']],
    ['an unknown bit of CR4', cr4(40), ['CR4 bit 40']],
    ['nested virtualisation', efer(12), ['svm']],
    ['an unknown bit of EFER', efer(30), ['EFER bit 30']],
    ['a TSC adjusted', { tscAdjust: 1n }, ['tsc-adjust']],
    ['speculation control', { specCtrl: 1n }, ['spec-ctrl']],
    ['supervisor components', { xss: 1n << 12n }, ['cet']],
    ['a deadline timer', { tscDeadline: 1n }, ['tsc-deadline']],
    ['the paravirtual clock', { systemTimeMsr: 0x1001n }, ['kvmclock']],
  ])('%s', (_, change, expected) => {
    expect(checkStateAgainstModel(started(3n, change), v2)).toEqual(expected);
  });

  it('XSAVE, and all that comes with it', () => {
    const model = buildCpuid('x86-64-v3', EPYC_WITHOUT_XSAVE);
    expect(checkStateAgainstModel(started(7n), model)).toEqual(['xsave', 'avx']);
  });

  it('a running Linux that uses what a machine without APIC and clock cannot give', async () => {
    const section = readStream('linux-running-smp2-modern-noram').sections.find(({ name }) => name === 'cpu');
    if (section === undefined) throw new Error('no cpu section');
    const cpu = await loadSectionFromBytes(cpuTable, section.payload, section.version);
    const missing = checkStateAgainstModel(cpu, v2);
    expect(missing).toEqual(
      expect.arrayContaining(['smep', 'smap', 'fsgsbase', 'tsc-deadline', 'kvmclock', 'kvm-asyncpf', 'avx']),
    );
  });
});
