// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';

import { parseEvents } from '../../../src-main/machine/vm/cpu/kvm-events.ts';
import { parseRegs } from '../../../src-main/machine/vm/cpu/kvm-regs.ts';
import { parseSregs } from '../../../src-main/machine/vm/cpu/kvm-sregs.ts';
import { parseXcr0 } from '../../../src-main/machine/vm/cpu/kvm-xcrs.ts';
import { parseXsave } from '../../../src-main/machine/vm/cpu/kvm-xsave.ts';
import { resetState } from '../../../src-main/machine/vm/cpu/reset-state.ts';
import { DEFAULT_TRAITS, vcpuToSections } from '../../../src-main/machine/vm/cpu/vcpu-state.ts';
import { AVX_LAYOUT } from '../../../src-main/machine/vm/cpu/xsave-layout.ts';
import { freshVcpu } from './random-vcpu.ts';

const start = { rip: 0x100000n, cr3: 0x9000n, registers: { rsp: 0x8000n, rdi: 5n, r15: 9n } };

describe('a vCPU that starts in 64-bit mode', () => {
  const base = freshVcpu();
  const state = resetState({ ...start, xcr0: 7n }, base);
  const sregs = parseSregs(state.sregs);

  it('has its registers and clear flags', () => {
    const { regs, rip, rflags } = parseRegs(state.regs);
    expect({ rip, rflags, rsp: regs[4], rdi: regs[7], r15: regs[15], rax: regs[0] }).toEqual({
      ...{ rip: 0x100000n, rflags: 2n, rsp: 0x8000n, rdi: 5n, r15: 9n, rax: 0n },
    });
  });

  it('has paging and long mode on', () => {
    expect(sregs).toMatchObject({ cr0: 0x80050033n, cr3: 0x9000n, cr4: 0x40620n, efer: 0x500n });
  });

  it('enables XSAVE in CR4 only where AVX is enabled', () => {
    expect(parseSregs(resetState({ ...start, xcr0: 3n }, base).sregs).cr4).toBe(0x620n);
    expect(parseSregs(resetState(start, base).sregs).cr4).toBe(0x620n);
    expect(parseXcr0(resetState(start, base).xcrs)).toBe(1n);
    expect(parseXcr0(state.xcrs)).toBe(7n);
  });

  it('has flat segments, a task register and no local descriptor table', () => {
    expect(sregs.cs).toMatchObject({ selector: 8, base: 0n, l: 1, db: 0, present: 1, dpl: 0, limit: 0xffffffff });
    for (const name of ['ds', 'es', 'fs', 'gs', 'ss'] as const) {
      expect(sregs[name]).toMatchObject({ selector: 0x10, base: 0n, type: 3, present: 1, unusable: 0 });
    }
    expect(sregs.tr).toMatchObject({ type: 0xb, present: 1, s: 0 });
    expect(sregs.ldt).toMatchObject({ present: 0, unusable: 1 });
    expect(parseSregs(resetState({ ...start, gdt: { base: 0x5000n, limit: 31 } }, base).sregs).gdt).toEqual({
      base: 0x5000n,
      limit: 31,
    });
  });

  it('has a fresh FPU', () => {
    const fpu = parseXsave(state.xsave, AVX_LAYOUT);
    expect(fpu).toMatchObject({ fcw: 0x37f, fsw: 0, tag: 0, mxcsr: 0x1f80, xstateBv: 3n });
    expect(state.xsave.length).toBe(base.xsave.length);
  });

  it('has nothing on its way, the reset page attributes and the APIC base of its base', () => {
    expect(parseEvents(state.events)).toMatchObject({ interruptInjected: 0, exceptionInjected: 0, nmiPending: 0 });
    expect(state.msrs).toEqual([{ index: 0x277, value: 0x0007040600070406n }]);
    expect(sregs.apicBase).toBe(parseSregs(base.sregs).apicBase);
    expect(state).toMatchObject({ mpState: 0, tscKhz: base.tscKhz });
  });

  it('has the mode bits of a 64-bit kernel in its section, and loses nothing', () => {
    const { cpu, losses } = vcpuToSections(state, DEFAULT_TRAITS);
    expect(cpu.hflags.toString(16)).toBe('40c2b0');
    expect(losses).toEqual([]);
  });
});
