// SPDX-License-Identifier: Apache-2.0
import type { CpuTraits } from '../../../src-main/machine/vm/cpu/cpu-traits.ts';
import { buildDebugregs } from '../../../src-main/machine/vm/cpu/kvm-debugregs.ts';
import {
  buildEvents,
  EVENT_NMI_PENDING,
  EVENT_SHADOW,
  EVENT_SMM,
  NO_EVENTS,
  SHADOW_MOV_SS,
  SHADOW_STI,
} from '../../../src-main/machine/vm/cpu/kvm-events.ts';
import { buildRegs } from '../../../src-main/machine/vm/cpu/kvm-regs.ts';
import { buildSregs } from '../../../src-main/machine/vm/cpu/kvm-sregs.ts';
import type { KvmSegment } from '../../../src-main/machine/vm/cpu/kvm-sregs.ts';
import { buildXcrs } from '../../../src-main/machine/vm/cpu/kvm-xcrs.ts';
import { buildXsave } from '../../../src-main/machine/vm/cpu/kvm-xsave.ts';
import { migratedMsrs } from '../../../src-main/machine/vm/cpu/vcpu-state.ts';
import type { VcpuState } from '../../../src-main/machine/native/index.ts';
import type { Random } from '../vmstate/seeded.ts';

const XSAVE_BYTES = 4096;
const APIC_BASE = 0xfee00900n;
/** Registers of which 32 bits count: SYSENTER_CS, SMBASE, UMWAIT_CONTROL. */
const WORD_MSRS = [0x174, 0x9e, 0xe1];
/** Registers that must be 0 for a migration. */
const WATCHED_MSRS = [0x140, 0x1d9];

/** A vCPU after reset, as KVM gives it: its image ends in the kernel's own notes. */
export function freshVcpu(): VcpuState {
  const xsave = Buffer.alloc(XSAVE_BYTES);
  xsave.writeUInt32LE(0x2ffff, 28);
  xsave.write('kernel', 464, 'latin1');
  return {
    regs: Buffer.alloc(144),
    sregs: sregs(() => segment(0n, 0, 0xf3, 0xffff), { apicBase: APIC_BASE }),
    xsave,
    xcrs: buildXcrs(1n),
    debugregs: Buffer.alloc(128),
    events: buildEvents({ ...NO_EVENTS, flags: EVENT_NMI_PENDING | EVENT_SHADOW | EVENT_SMM }),
    mpState: 0,
    msrs: migratedMsrs().map((index) => ({ index, value: 0n })),
    tscKhz: 1_000_000,
  };
}

/** Any state that the sections can carry whole; bits that must be 0 are 0. */
export function randomVcpu(random: Random, traits: CpuTraits): VcpuState {
  const fresh = freshVcpu();
  const interrupt = random.chance();
  const interruptNr = interrupt ? random.below(256) : 0;
  const bitmap = [0n, 0n, 0n, 0n];
  if (interrupt) bitmap[interruptNr >> 6] = 1n << BigInt(interruptNr & 63);
  const rflags = random.quad();
  return {
    regs: buildRegs({ regs: quads(random, 16), rip: random.quad(), rflags }),
    sregs: sregs(() => segment(random.quad(), random.below(0x10000), random.below(0x10000), random.word()), {
      apicBase: APIC_BASE,
      interruptBitmap: bitmap,
      gdt: { base: random.quad(), limit: random.below(0x10000) },
      idt: { base: random.quad(), limit: random.below(0x10000) },
      ...{ cr0: random.quad(), cr2: random.quad(), cr3: random.quad(), cr4: random.quad(), efer: random.quad() },
    }),
    xsave: xsave(random, traits, fresh.xsave),
    xcrs: buildXcrs(1n | (random.quad() & 0x2e6n)),
    debugregs: buildDebugregs({ addresses: quads(random, 4), dr6: random.quad(), dr7: random.quad() }),
    events: events(random, interrupt, interruptNr, rflags),
    mpState: random.below(5),
    msrs: fresh.msrs.map(({ index }) => ({ index, value: msrValue(index, random, traits) })),
    tscKhz: 1 + random.below(5_000_000),
  };
}

function events(random: Random, interrupt: boolean, interruptNr: number, rflags: bigint): Buffer {
  const shadow = (rflags & 0x200n) === 0n ? SHADOW_MOV_SS : SHADOW_STI;
  const exception = random.chance();
  return buildEvents({
    ...NO_EVENTS,
    exceptionInjected: exception ? 1 : 0,
    exceptionNr: exception ? random.below(32) : 0,
    exceptionHasErrorCode: random.below(2),
    interruptInjected: interrupt ? 1 : 0,
    interruptNr,
    interruptSoft: random.below(2),
    interruptShadow: random.chance() ? shadow : 0,
    nmiInjected: random.below(2),
    nmiPending: random.below(2),
    nmiMasked: random.below(2),
    smm: random.below(2),
    smmInsideNmi: random.below(2),
    flags: EVENT_NMI_PENDING | EVENT_SHADOW | EVENT_SMM,
  });
}

function msrValue(index: number, random: Random, traits: CpuTraits): bigint {
  if (WATCHED_MSRS.includes(index)) return 0n;
  if (WORD_MSRS.includes(index)) return BigInt(random.word());
  const isMtrrMask = index >= 0x200 && index < 0x210 && (index & 1) === 1;
  return isMtrrMask ? random.quad() & ((1n << BigInt(traits.physicalAddressBits)) - 1n) : random.quad();
}

function xsave(random: Random, traits: CpuTraits, base: Buffer): Buffer {
  const vectors = (registers: number, count: number, offset: number | undefined) =>
    Array.from({ length: registers }, () =>
      offset === undefined ? new Array<bigint>(count).fill(0n) : quads(random, count),
    );
  const layout = traits.xsave;
  const fpu = {
    fcw: random.below(0x10000),
    fsw: random.below(0x10000),
    tag: random.below(0x100),
    fop: random.below(0x800),
    fip: random.quad(),
    fdp: random.quad(),
    mxcsr: random.below(0x10000),
    st: Array.from({ length: 8 }, () => ({ mantissa: random.quad(), exponent: random.below(0x10000) })),
    xmm: vectors(16, 2, 160),
    ymmHigh: vectors(16, 2, layout.avx),
    opmask: layout.opmask === undefined ? quads(random, 8).fill(0n) : quads(random, 8),
    zmmHigh: vectors(16, 4, layout.zmmHigh),
    hi16Zmm: vectors(16, 8, layout.hi16Zmm),
    pkru: layout.pkru === undefined ? 0 : random.word(),
    xstateBv: random.quad() & 0x2e7n,
  };
  return buildXsave(fpu, layout, base);
}

type SpecialParts = Parameters<typeof buildSregs>[0];

function sregs(next: () => KvmSegment, parts: Partial<SpecialParts>): Buffer {
  return buildSregs({
    ...{ cs: next(), ds: next(), es: next(), fs: next(), gs: next(), ss: next(), tr: next(), ldt: next() },
    ...{ gdt: { base: 0n, limit: 0 }, idt: { base: 0n, limit: 0 } },
    ...{ cr0: 0n, cr2: 0n, cr3: 0n, cr4: 0n, cr8: 0n, efer: 0n, apicBase: 0n, interruptBitmap: [0n, 0n, 0n, 0n] },
    ...parts,
  });
}

/** A segment whose attributes are taken from 16 bits; it is unusable exactly when it is not present. */
function segment(base: bigint, selector: number, bits: number, limit: number): KvmSegment {
  const bit = (position: number) => (bits >> position) & 1;
  return {
    ...{ base, limit, selector, type: bits & 0xf, s: bit(4), dpl: (bits >> 5) & 3, present: bit(7) },
    ...{ avl: bit(8), l: bit(9), db: bit(10), g: bit(11), unusable: 1 - bit(7) },
  };
}

function quads(random: Random, count: number): bigint[] {
  return Array.from({ length: count }, () => random.quad());
}
