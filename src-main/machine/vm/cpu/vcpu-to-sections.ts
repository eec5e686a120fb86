// SPDX-License-Identifier: Apache-2.0
/** From KVM's structures to the `cpu_common` and `cpu` sections, on the source. */
import { blankState } from '../../engine/vmstate/blank-state.ts';
import type { VcpuState } from '../../native/index.ts';
import type { CpuCommonState } from '../sections/cpu-common.ts';
import { cpuTable } from '../sections/cpu.ts';
import type { CpuState } from '../sections/cpu.ts';
import type { CpuTraits } from './cpu-traits.ts';
import { deliverPayload } from './exception-payload.ts';
import { derivedHflags, HFLAG_INTERRUPT_SHADOW, HFLAG_SMM } from './hflags.ts';
import { parseDebugregs } from './kvm-debugregs.ts';
import { parseEvents, SHADOW_MOV_SS, SHADOW_STI } from './kvm-events.ts';
import type { VcpuEvents } from './kvm-events.ts';
import { parseRegs } from './kvm-regs.ts';
import { parseSregs } from './kvm-sregs.ts';
import type { SpecialRegisters } from './kvm-sregs.ts';
import { parseXcr0 } from './kvm-xcrs.ts';
import { parseXsave } from './kvm-xsave.ts';
import type { FpuState } from './kvm-xsave.ts';
import { msrsToSection } from './msrs.ts';
import { fillMasks } from './mtrr-masks.ts';
import { segmentToSection, tableToSection } from './segment-flags.ts';
import { XSTATE_CARRIED, XSTATE_NAMES, XSTATE_PKRU } from './xsave-layout.ts';

/** KVM_MP_STATE_*. */
export const MP_STATE_RUNNABLE = 0;
export const MP_STATE_HALTED = 3;
/** GIF and its virtual twin: set unless a nested hypervisor clears them. */
export const HFLAGS2_GIF = 0x101;
export const HFLAGS2_NMI_MASKED = 1 << 2;
export const HFLAGS2_SMM_INSIDE_NMI = 1 << 4;
export const RFLAGS_IF = 1n << 9n;
const A20_ON = -1;
const NONE = -1;

export interface VcpuSections {
  readonly cpuCommon: CpuCommonState;
  readonly cpu: CpuState;
  /** What the sections cannot carry, in words; empty when nothing is lost. */
  readonly losses: string[];
}

/** The sections that hold the state of a stopped vCPU. */
export function vcpuToSections(kvm: VcpuState, traits: CpuTraits): VcpuSections {
  const events = parseEvents(kvm.events);
  const sregs = parseSregs(kvm.sregs);
  const fpu = ofTheGuest(parseXsave(kvm.xsave, traits.xsave), traits.components);
  const { regs, rip, rflags } = parseRegs(kvm.regs);
  const cpu: CpuState = {
    ...blankState(cpuTable),
    a20Mask: A20_ON,
    ...specialRegisters(sregs),
    ...fpuFields(fpu),
    ...eventFields(events),
    regs,
    rip,
    rflags,
    hflags: hflagsOf(sregs, rflags, events),
    dr: debugFields(kvm.debugregs),
    xcr0: parseXcr0(kvm.xcrs),
    mpState: kvm.mpState,
    tscKhz: BigInt(kvm.tscKhz),
    mcgCap: traits.mcgCap,
  };
  const losses = [
    ...msrsToSection(kvm.msrs, cpu, traits.mcgCap),
    ...eventLosses(events, rflags),
    ...xsaveLosses(fpu.xstateBv, cpu.xcr0),
    ...(sregs.cr8 === 0n ? [] : [`CR8 (${sregs.cr8})`]),
  ];
  deliverPending(events, cpu);
  fillMasks(cpu.mtrrVar, traits.physicalAddressBits);
  const halted = kvm.mpState === MP_STATE_HALTED ? 1 : 0;
  return { cpuCommon: { halted, interruptRequest: 0, crashOccurred: false }, cpu, losses };
}

function specialRegisters(sregs: SpecialRegisters) {
  const { es, cs, ss, ds, fs, gs } = sregs;
  return {
    segs: [es, cs, ss, ds, fs, gs].map(segmentToSection),
    ldt: segmentToSection(sregs.ldt),
    tr: segmentToSection(sregs.tr),
    gdt: tableToSection(sregs.gdt),
    idt: tableToSection(sregs.idt),
    cr0: sregs.cr0,
    cr2: sregs.cr2,
    cr3: sregs.cr3,
    cr4: sregs.cr4,
    efer: sregs.efer,
  };
}

/** Without what the image holds of the host. Components that nothing can carry stay, for the losses to name them. */
function ofTheGuest(fpu: FpuState, components: bigint): FpuState {
  const pkru = (components & XSTATE_PKRU) === 0n ? 0 : fpu.pkru;
  return { ...fpu, pkru, xstateBv: fpu.xstateBv & (components | ~XSTATE_CARRIED) };
}

/** x87 registers lie in the section as KVM's image has them, ST(0) first: that is what QEMU under KVM does too. */
function fpuFields(fpu: ReturnType<typeof parseXsave>) {
  const pair = ([low = 0n, high = 0n]: readonly bigint[]) => ({ low, high });
  return {
    fpuc: fpu.fcw,
    fpus: fpu.fsw,
    fptag: fpu.tag,
    fpregsFormat: 0,
    fpregs: fpu.st.map(({ mantissa, exponent }) => ({ mantissa, exponent })),
    fpop: fpu.fop,
    fpip: fpu.fip,
    fpdp: fpu.fdp,
    mxcsr: fpu.mxcsr,
    xmm: fpu.xmm.map(pair),
    ymmHigh: fpu.ymmHigh.map(pair),
    opmask: [...fpu.opmask],
    zmmHigh: fpu.zmmHigh.map(([q4 = 0n, q5 = 0n, q6 = 0n, q7 = 0n]) => ({ q4, q5, q6, q7 })),
    hi16Zmm: fpu.hi16Zmm.map(([q0 = 0n, q1 = 0n, q2 = 0n, q3 = 0n, q4 = 0n, q5 = 0n, q6 = 0n, q7 = 0n]) => ({
      q0,
      q1,
      q2,
      q3,
      q4,
      q5,
      q6,
      q7,
    })),
    pkru: fpu.pkru,
    xstateBv: fpu.xstateBv,
  };
}

function eventFields(events: VcpuEvents) {
  const raised = events.exceptionInjected === 1 || events.exceptionPending === 1;
  const masked = events.nmiMasked === 1 ? HFLAGS2_NMI_MASKED : 0;
  const insideNmi = events.smmInsideNmi === 1 ? HFLAGS2_SMM_INSIDE_NMI : 0;
  return {
    exceptionNr: raised ? events.exceptionNr : NONE,
    hasErrorCode: events.exceptionHasErrorCode,
    interruptInjected: events.interruptInjected === 1 ? events.interruptNr : NONE,
    softInterrupt: events.interruptSoft,
    nmiInjected: events.nmiInjected,
    nmiPending: events.nmiPending,
    sipiVector: events.sipiVector,
    hflags2: HFLAGS2_GIF | masked | insideNmi,
  };
}

function hflagsOf(sregs: SpecialRegisters, rflags: bigint, events: VcpuEvents): number {
  const shadow = events.interruptShadow === 0 ? 0 : HFLAG_INTERRUPT_SHADOW;
  const smm = events.smm === 0 ? 0 : HFLAG_SMM;
  return derivedHflags(sregs, rflags) | shadow | smm;
}

/** DR4 and DR5 are other names of DR6 and DR7. */
function debugFields(bytes: Buffer): bigint[] {
  const { addresses, dr6, dr7 } = parseDebugregs(bytes);
  return [...addresses, dr6, dr7, dr6, dr7];
}

/** A pending exception travels as one being injected, its payload already where the guest will look for it. */
function deliverPending(events: VcpuEvents, cpu: CpuState): void {
  if (events.exceptionPending === 0 || events.exceptionHasPayload === 0) return;
  deliverPayload(cpu, events.exceptionNr, events.exceptionPayload);
}

function eventLosses(events: VcpuEvents, rflags: bigint): string[] {
  const losses: string[] = [];
  const raised = events.exceptionInjected === 1 || events.exceptionPending === 1;
  if (raised && events.exceptionHasErrorCode === 1 && events.exceptionErrorCode !== 0) {
    losses.push(`error code ${events.exceptionErrorCode.toString(16)}h of exception ${events.exceptionNr} in flight`);
  }
  const restored = (rflags & RFLAGS_IF) === 0n ? SHADOW_MOV_SS : SHADOW_STI;
  if (events.interruptShadow !== 0 && events.interruptShadow !== restored) {
    losses.push('kind of the interrupt shadow');
  }
  if (events.smiPending !== 0) losses.push('pending SMI');
  if (events.latchedInit !== 0) losses.push('latched INIT');
  if (events.tripleFaultPending !== 0) losses.push('pending triple fault');
  return losses;
}

function xsaveLosses(xstateBv: bigint, xcr0: bigint): string[] {
  const foreign = (xstateBv | xcr0) & ~XSTATE_CARRIED;
  return Array.from({ length: 64 }, (_, bit) => bit)
    .filter((bit) => ((foreign >> BigInt(bit)) & 1n) === 1n)
    .map((bit) => `XSAVE component ${XSTATE_NAMES.get(bit) ?? bit}`);
}
