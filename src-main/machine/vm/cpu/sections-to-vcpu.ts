// SPDX-License-Identifier: Apache-2.0
/** From the `cpu_common` and `cpu` sections to KVM's structures, on the destination. */
import type { VcpuState } from '../../native/index.ts';
import type { CpuCommonState } from '../sections/cpu-common.ts';
import type { CpuState } from '../sections/cpu.ts';
import type { CpuTraits } from './cpu-traits.ts';
import { deliverPayload } from './exception-payload.ts';
import { HFLAG_INTERRUPT_SHADOW, HFLAG_SMM } from './hflags.ts';
import { buildDebugregs } from './kvm-debugregs.ts';
import {
  buildEvents,
  EVENT_NMI_PENDING,
  EVENT_PAYLOAD,
  EVENT_SHADOW,
  EVENT_SIPI_VECTOR,
  EVENT_SMM,
  NO_EVENTS,
  parseEvents,
  SHADOW_MOV_SS,
  SHADOW_STI,
} from './kvm-events.ts';
import type { VcpuEvents } from './kvm-events.ts';
import { buildRegs } from './kvm-regs.ts';
import { buildSregs, parseSregs } from './kvm-sregs.ts';
import { buildXcrs } from './kvm-xcrs.ts';
import { buildXsave } from './kvm-xsave.ts';
import { sectionToMsrs } from './msrs.ts';
import { trimmedMasks } from './mtrr-masks.ts';
import { sectionToSegment, sectionToTable } from './segment-flags.ts';
import { XSTATE_CARRIED } from './xsave-layout.ts';
import {
  HFLAGS2_NMI_MASKED,
  HFLAGS2_SMM_INSIDE_NMI,
  MP_STATE_HALTED,
  MP_STATE_RUNNABLE,
  RFLAGS_IF,
} from './vcpu-to-sections.ts';

const ABSENT_SEGMENT = { selector: 0, base: 0n, limit: 0, flags: 0 };

/**
 * The state to be set on a vCPU.
 *
 * @param base state of that vCPU now, read with the same list of MSRs: what no section carries (CR8, APIC base) is kept
 */
export function sectionsToVcpu(
  cpuCommon: CpuCommonState,
  loaded: CpuState,
  base: VcpuState,
  traits: CpuTraits,
): VcpuState {
  const cpu = { ...loaded, dr: [...loaded.dr], mtrrVar: trimmedMasks(loaded.mtrrVar, traits.physicalAddressBits) };
  const asleep = cpuCommon.halted === 1 && cpu.mpState === MP_STATE_RUNNABLE;
  const events = restoredEvents(cpu, parseEvents(base.events).flags);
  return {
    regs: buildRegs(cpu),
    sregs: restoredSregs(cpu, base.sregs),
    xsave: restoredXsave(cpu, base.xsave, traits),
    xcrs: buildXcrs(cpu.xcr0),
    debugregs: buildDebugregs({ addresses: cpu.dr.slice(0, 4), dr6: cpu.dr[6] ?? 0n, dr7: cpu.dr[7] ?? 0n }),
    events: buildEvents(events),
    mpState: asleep ? MP_STATE_HALTED : cpu.mpState,
    msrs: sectionToMsrs(cpu, base.msrs, traits.mcgCap),
    tscKhz: cpu.tscKhz > 0n ? Number(cpu.tscKhz) : base.tscKhz,
  };
}

/** An interrupt in flight is left out of the bitmap: the events carry it. */
function restoredSregs(cpu: CpuState, base: Buffer): Buffer {
  const { cr8, apicBase } = parseSregs(base);
  const segment = (index: number) => sectionToSegment(cpu.segs[index] ?? ABSENT_SEGMENT);
  return buildSregs({
    es: segment(0),
    cs: segment(1),
    ss: segment(2),
    ds: segment(3),
    fs: segment(4),
    gs: segment(5),
    ldt: sectionToSegment(cpu.ldt),
    tr: sectionToSegment(cpu.tr),
    gdt: sectionToTable(cpu.gdt),
    idt: sectionToTable(cpu.idt),
    cr0: cpu.cr0,
    cr2: cpu.cr2,
    cr3: cpu.cr3,
    cr4: cpu.cr4,
    efer: cpu.efer,
    cr8,
    apicBase,
    interruptBitmap: [0n, 0n, 0n, 0n],
  });
}

function restoredXsave(cpu: CpuState, base: Buffer, traits: CpuTraits): Buffer {
  const fpu = {
    fcw: cpu.fpuc,
    fsw: cpu.fpus,
    tag: cpu.fptag & 0xff,
    fop: cpu.fpop,
    fip: cpu.fpip,
    fdp: cpu.fpdp,
    mxcsr: cpu.mxcsr,
    st: cpu.fpregs,
    xmm: cpu.xmm.map(({ low, high }) => [low, high]),
    ymmHigh: cpu.ymmHigh.map(({ low, high }) => [low, high]),
    opmask: cpu.opmask,
    zmmHigh: cpu.zmmHigh.map(({ q4, q5, q6, q7 }) => [q4, q5, q6, q7]),
    hi16Zmm: cpu.hi16Zmm.map(({ q0, q1, q2, q3, q4, q5, q6, q7 }) => [q0, q1, q2, q3, q4, q5, q6, q7]),
    pkru: cpu.pkru,
    xstateBv: cpu.xstateBv & (traits.components | ~XSTATE_CARRIED),
  };
  return buildXsave(fpu, traits.xsave, base);
}

function restoredEvents(cpu: CpuState, baseFlags: number): VcpuEvents {
  const smmKnown = (baseFlags & EVENT_SMM) !== 0;
  const sipi = cpu.sipiVector === 0 ? 0 : EVENT_SIPI_VECTOR;
  return {
    ...NO_EVENTS,
    ...restoredException(cpu, (baseFlags & EVENT_PAYLOAD) !== 0),
    ...restoredInterrupt(cpu),
    nmiInjected: cpu.nmiInjected,
    nmiPending: cpu.nmiPending,
    nmiMasked: (cpu.hflags2 & HFLAGS2_NMI_MASKED) === 0 ? 0 : 1,
    sipiVector: cpu.sipiVector,
    smm: smmKnown && (cpu.hflags & HFLAG_SMM) !== 0 ? 1 : 0,
    smmInsideNmi: smmKnown && (cpu.hflags2 & HFLAGS2_SMM_INSIDE_NMI) !== 0 ? 1 : 0,
    flags: EVENT_NMI_PENDING | EVENT_SHADOW | sipi | (baseFlags & (EVENT_SMM | EVENT_PAYLOAD)),
  };
}

/**
 * A stream without `cpu/exception_info` says only which exception is under way: it is injected. One that says it is
 * pending is taken at its word where KVM can hold a payload, and injected with its payload delivered where it cannot.
 */
function restoredException(cpu: CpuState, payloads: boolean): Partial<VcpuEvents> {
  const common = { exceptionNr: Math.max(cpu.exceptionNr, 0), exceptionHasErrorCode: cpu.hasErrorCode };
  if (cpu.exceptionNr < 0) return common;
  if (cpu.exceptionPending === 0) return { ...common, exceptionInjected: 1 };
  if (payloads) {
    return {
      ...common,
      exceptionPending: 1,
      exceptionHasPayload: cpu.exceptionHasPayload,
      exceptionPayload: cpu.exceptionPayload,
    };
  }
  if (cpu.exceptionHasPayload !== 0) deliverPayload(cpu, cpu.exceptionNr, cpu.exceptionPayload);
  return { ...common, exceptionInjected: 1 };
}

/** One bit says that interrupts are held off; the STI kind is only possible while interrupts are enabled. */
function restoredInterrupt(cpu: CpuState): Partial<VcpuEvents> {
  const shadow = (cpu.rflags & RFLAGS_IF) === 0n ? SHADOW_MOV_SS : SHADOW_STI;
  return {
    interruptInjected: cpu.interruptInjected < 0 ? 0 : 1,
    interruptNr: Math.max(cpu.interruptInjected, 0),
    interruptSoft: cpu.softInterrupt,
    interruptShadow: (cpu.hflags & HFLAG_INTERRUPT_SHADOW) === 0 ? 0 : shadow,
  };
}
