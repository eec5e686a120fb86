// SPDX-License-Identifier: Apache-2.0
/** A vCPU that starts in 64-bit mode, with paging on and nothing of a firmware's work before it. */
import type { VcpuState } from '../../native/index.ts';
import { buildDebugregs } from './kvm-debugregs.ts';
import { buildEvents, EVENT_NMI_PENDING, EVENT_SHADOW, NO_EVENTS } from './kvm-events.ts';
import { buildRegs, REGISTER_NAMES } from './kvm-regs.ts';
import type { RegisterName } from './kvm-regs.ts';
import { buildSregs, parseSregs } from './kvm-sregs.ts';
import type { DescriptorTable, KvmSegment } from './kvm-sregs.ts';
import { buildXcrs } from './kvm-xcrs.ts';
import { buildXsave } from './kvm-xsave.ts';
import { MSR_PAT, PAT_RESET } from './msrs.ts';
import { MP_STATE_RUNNABLE } from './vcpu-to-sections.ts';
import { AVX_LAYOUT, XSTATE_AVX, XSTATE_SSE, XSTATE_X87 } from './xsave-layout.ts';

export interface ResetValues {
  readonly rip: bigint;
  /** Page tables that map the code at `rip`. */
  readonly cr3: bigint;
  /** Values of general registers, RSP among them; the others are 0. */
  readonly registers?: Partial<Record<RegisterName, bigint>>;
  /** Where the guest keeps a GDT; none where absent: the segments are loaded already. */
  readonly gdt?: DescriptorTable;
  /** XSAVE components to enable; x87 alone (no XSAVE) where absent. */
  readonly xcr0?: bigint;
}

export const CODE_SELECTOR = 0x08;
export const DATA_SELECTOR = 0x10;
export const TASK_SELECTOR = 0x18;

/** PE, MP, ET, NE, WP, AM, PG. */
const CR0 = 0x80050033n;
const CR4_PAE = 1n << 5n;
const CR4_OSFXSR = 1n << 9n;
const CR4_OSXMMEXCPT = 1n << 10n;
const CR4_OSXSAVE = 1n << 18n;
/** LME and LMA. */
const EFER = 0x500n;
/** The bit of RFLAGS that is always 1. */
const RFLAGS = 2n;
const DR6 = 0xffff0ff0n;
const DR7 = 0x400n;
const FCW_RESET = 0x37f;
const MXCSR_RESET = 0x1f80;
const NO_TABLE: DescriptorTable = { base: 0n, limit: 0 };

const FLAT = { base: 0n, limit: 0xffffffff, present: 1, dpl: 0, s: 1, g: 1, avl: 0, unusable: 0 };
/** Execute and read, accessed, 64-bit. */
const CODE: KvmSegment = { ...FLAT, selector: CODE_SELECTOR, type: 0xb, db: 0, l: 1 };
/** Read and write, accessed. */
const DATA: KvmSegment = { ...FLAT, selector: DATA_SELECTOR, type: 0x3, db: 1, l: 0 };
/** A busy 64-bit TSS: VMX does not enter a guest without one. */
const TASK: KvmSegment = { ...FLAT, selector: TASK_SELECTOR, type: 0xb, s: 0, limit: 0x67, db: 0, l: 0, g: 0 };
const NO_LDT: KvmSegment = {
  ...FLAT,
  selector: 0,
  type: 0x2,
  s: 0,
  limit: 0xffff,
  db: 0,
  l: 0,
  g: 0,
  present: 0,
  unusable: 1,
};

/**
 * The state to set on a fresh vCPU.
 *
 * @param base what the vCPU holds now: APIC base, MSRs and the size of the XSAVE image are taken from it
 */
export function resetState(start: ResetValues, base: VcpuState): VcpuState {
  const xcr0 = start.xcr0 ?? XSTATE_X87;
  return {
    regs: buildRegs({
      regs: REGISTER_NAMES.map((name) => start.registers?.[name] ?? 0n),
      rip: start.rip,
      rflags: RFLAGS,
    }),
    sregs: specialRegisters(start, xcr0, base),
    xsave: freshXsave(base.xsave),
    xcrs: buildXcrs(xcr0),
    debugregs: buildDebugregs({ addresses: [0n, 0n, 0n, 0n], dr6: DR6, dr7: DR7 }),
    events: buildEvents({ ...NO_EVENTS, flags: EVENT_NMI_PENDING | EVENT_SHADOW }),
    mpState: MP_STATE_RUNNABLE,
    msrs: [{ index: MSR_PAT, value: PAT_RESET }],
    tscKhz: base.tscKhz,
  };
}

function specialRegisters(start: ResetValues, xcr0: bigint, base: VcpuState): Buffer {
  const osxsave = (xcr0 & XSTATE_AVX) === 0n ? 0n : CR4_OSXSAVE;
  return buildSregs({
    cs: CODE,
    ds: DATA,
    es: DATA,
    fs: DATA,
    gs: DATA,
    ss: DATA,
    tr: TASK,
    ldt: NO_LDT,
    gdt: start.gdt ?? NO_TABLE,
    idt: NO_TABLE,
    cr0: CR0,
    cr2: 0n,
    cr3: start.cr3,
    cr4: CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | osxsave,
    cr8: 0n,
    efer: EFER,
    apicBase: parseSregs(base.sregs).apicBase,
    interruptBitmap: [0n, 0n, 0n, 0n],
  });
}

function freshXsave(base: Buffer): Buffer {
  const zeros = (registers: number, quads: number) =>
    Array.from({ length: registers }, () => new Array<bigint>(quads).fill(0n));
  const fpu = {
    fcw: FCW_RESET,
    fsw: 0,
    tag: 0,
    fop: 0,
    fip: 0n,
    fdp: 0n,
    mxcsr: MXCSR_RESET,
    st: Array.from({ length: 8 }, () => ({ mantissa: 0n, exponent: 0 })),
    xmm: zeros(16, 2),
    ymmHigh: zeros(16, 2),
    opmask: new Array<bigint>(8).fill(0n),
    zmmHigh: zeros(16, 4),
    hi16Zmm: zeros(16, 8),
    pkru: 0,
    xstateBv: XSTATE_X87 | XSTATE_SSE,
  };
  return buildXsave(fpu, AVX_LAYOUT, base);
}
