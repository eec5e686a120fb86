// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';

import { loadSectionFromBytes } from '../../../src-main/machine/engine/vmstate/load.ts';
import { saveSection } from '../../../src-main/machine/engine/vmstate/save.ts';
import type { VcpuState } from '../../../src-main/machine/native/index.ts';
import {
  buildEvents,
  EVENT_PAYLOAD,
  NO_EVENTS,
  parseEvents,
  SHADOW_MOV_SS,
} from '../../../src-main/machine/vm/cpu/kvm-events.ts';
import { buildRegs, parseRegs } from '../../../src-main/machine/vm/cpu/kvm-regs.ts';
import { buildSregs, parseSregs } from '../../../src-main/machine/vm/cpu/kvm-sregs.ts';
import { buildXcrs, parseXcr0 } from '../../../src-main/machine/vm/cpu/kvm-xcrs.ts';
import { buildXsave, parseXsave } from '../../../src-main/machine/vm/cpu/kvm-xsave.ts';
import { segmentToSection } from '../../../src-main/machine/vm/cpu/segment-flags.ts';
import {
  DEFAULT_TRAITS,
  migratedMsrs,
  sectionsToVcpu,
  vcpuToSections,
} from '../../../src-main/machine/vm/cpu/vcpu-state.ts';
import type { CpuTraits } from '../../../src-main/machine/vm/cpu/vcpu-state.ts';
import {
  XSTATE_AVX,
  XSTATE_CARRIED,
  XSTATE_PKRU,
  XSTATE_SSE,
  XSTATE_X87,
} from '../../../src-main/machine/vm/cpu/xsave-layout.ts';
import { cpuCommonTable } from '../../../src-main/machine/vm/sections/cpu-common.ts';
import { cpuTable } from '../../../src-main/machine/vm/sections/cpu.ts';
import { readStream } from '../vmstate/streams.ts';
import { seeded } from '../vmstate/seeded.ts';
import { freshVcpu, randomVcpu } from './random-vcpu.ts';

/** AVX-512 where AMD puts it, with protection keys. */
const AVX512_TRAITS: CpuTraits = {
  xsave: { avx: 576, opmask: 832, zmmHigh: 896, hi16Zmm: 1408, pkru: 2432 },
  components: XSTATE_CARRIED,
  physicalAddressBits: 46,
  mcgCap: 0n,
};

async function throughTheStream(source: VcpuState, base: VcpuState, traits: CpuTraits): Promise<VcpuState> {
  const sent = vcpuToSections(source, traits);
  expect(sent.losses).toEqual([]);
  const cpuCommon = await loadSectionFromBytes(cpuCommonTable, saveSection(cpuCommonTable, sent.cpuCommon), 1);
  const cpu = await loadSectionFromBytes(cpuTable, saveSection(cpuTable, sent.cpu), 12);
  expect(cpu).toEqual(sent.cpu);
  return sectionsToVcpu(cpuCommon, cpu, base, traits);
}

/** What a vCPU holds after its MSRs were set. */
function msrsAfter(base: VcpuState, set: VcpuState): Map<number, bigint> {
  return new Map([...base.msrs, ...set.msrs].map(({ index, value }) => [index, value]));
}

/** The bitmap says again what the events say, and is not set. */
function withoutBitmap(sregs: Buffer): Buffer {
  return buildSregs({ ...parseSregs(sregs), interruptBitmap: [0n, 0n, 0n, 0n] });
}

describe.each([
  ['AVX', DEFAULT_TRAITS, 0],
  ['AVX-512', AVX512_TRAITS, 500],
])('the state of a vCPU with %s', (_, traits, firstSeed) => {
  const rounds = Array.from({ length: 50 }, (_, round) => seeded(firstSeed + round));

  it.each(rounds)('arrives whole, seed $seed', async (random) => {
    const source = randomVcpu(random, traits);
    const base = freshVcpu();
    const arrived = await throughTheStream(source, base, traits);
    expect(parseRegs(arrived.regs)).toEqual(parseRegs(source.regs));
    expect(arrived.regs).toEqual(source.regs);
    expect(parseSregs(arrived.sregs)).toEqual(parseSregs(withoutBitmap(source.sregs)));
    expect(arrived.sregs).toEqual(withoutBitmap(source.sregs));
    expect(parseXsave(arrived.xsave, traits.xsave)).toEqual(parseXsave(source.xsave, traits.xsave));
    expect(arrived.xsave).toEqual(source.xsave);
    expect(arrived.xcrs).toEqual(source.xcrs);
    expect(arrived.debugregs).toEqual(source.debugregs);
    expect(parseEvents(arrived.events)).toEqual(parseEvents(source.events));
    expect(arrived).toMatchObject({ mpState: source.mpState, tscKhz: source.tscKhz });
    expect(msrsAfter(base, arrived)).toEqual(new Map(source.msrs.map(({ index, value }) => [index, value])));
  });
});

describe('a section captured from KVM', () => {
  const cpus = (['qemu7-kvm-base', 'linux-running-smp2-legacy-noram', 'linux-running-smp2-modern-noram'] as const)
    .flatMap((stream) => readStream(stream).sections.map((section) => ({ ...section, stream })))
    .filter(({ name }) => name === 'cpu');

  it.each(cpus)('is the same after it went through a vCPU: $stream $instanceId', async (section) => {
    const loaded = await loadSectionFromBytes(cpuTable, section.payload, section.version);
    const mask = loaded.mtrrVar[7]?.mask ?? 0n;
    const physicalAddressBits = mask.toString(2).replace(/^1*/, '').length;
    const traits = { ...DEFAULT_TRAITS, physicalAddressBits, mcgCap: loaded.mcgCap };
    const base = { ...freshVcpu(), msrs: [] };
    const common = { halted: loaded.mpState === 3 ? 1 : 0, interruptRequest: 0, crashOccurred: false };
    const vcpu = sectionsToVcpu(common, loaded, base, traits);
    const back = vcpuToSections(vcpu, traits);
    expect(back.losses).toEqual([]);
    expect(back.cpuCommon).toEqual(common);
    expect(back.cpu).toEqual(loaded);
  });
});

describe('registers', () => {
  it('are in encoding order in the section and in the order of kvm_regs in KVM', () => {
    const regs = Buffer.alloc(144);
    for (let index = 0; index < 18; index++) regs.writeBigUInt64LE(BigInt(index), index * 8);
    expect(parseRegs(regs).regs).toEqual([0n, 2n, 3n, 1n, 6n, 7n, 4n, 5n, 8n, 9n, 10n, 11n, 12n, 13n, 14n, 15n]);
    expect(parseRegs(regs)).toMatchObject({ rip: 16n, rflags: 17n });
    expect(buildRegs(parseRegs(regs))).toEqual(regs);
  });

  it('put segments in the order ES CS SS DS FS GS', () => {
    const fresh = freshVcpu();
    const parsed = parseSregs(fresh.sregs);
    const named = Object.fromEntries(
      (['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const).map((name, selector) => [name, { ...parsed[name], selector }]),
    );
    const { cpu } = vcpuToSections({ ...fresh, sregs: buildSregs({ ...parsed, ...named }) }, DEFAULT_TRAITS);
    expect(cpu.segs.map(({ selector }) => selector)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('give segments the flags of a 64-bit kernel', () => {
    const flat = { base: 0n, limit: 0xffffffff, present: 1, dpl: 0, avl: 0, unusable: 0, g: 1, s: 1 };
    const code = { ...flat, selector: 0x10, type: 0xb, l: 1, db: 0 };
    const data = { ...flat, selector: 0x18, type: 3, l: 0, db: 1 };
    expect(segmentToSection(code).flags).toBe(0xa09b00);
    expect(segmentToSection(data).flags).toBe(0xc09300);
    expect(segmentToSection({ ...data, unusable: 1 }).flags).toBe(0xc01300);
  });

  it('keep x87 registers in the order of the image whatever TOP is', () => {
    const fresh = freshVcpu();
    const xsave = Buffer.from(fresh.xsave);
    xsave.writeUInt16LE(3 << 11, 2);
    for (let index = 0; index < 8; index++) xsave.writeBigUInt64LE(BigInt(100 + index), 32 + index * 16);
    const { cpu } = vcpuToSections({ ...fresh, xsave }, DEFAULT_TRAITS);
    expect(cpu.fpregs.map(({ mantissa }) => mantissa)).toEqual([100n, 101n, 102n, 103n, 104n, 105n, 106n, 107n]);
    expect(cpu.fpus).toBe(3 << 11);
  });

  it('say DR4 and DR5 as DR6 and DR7', () => {
    const debugregs = Buffer.alloc(128);
    debugregs.writeBigUInt64LE(0xffff0ff0n, 32);
    debugregs.writeBigUInt64LE(0x400n, 40);
    const { cpu } = vcpuToSections({ ...freshVcpu(), debugregs }, DEFAULT_TRAITS);
    expect(cpu.dr.slice(4)).toEqual([0xffff0ff0n, 0x400n, 0xffff0ff0n, 0x400n]);
  });

  it('take XCR0 from wherever it stands among the XCRs', () => {
    const xcrs = buildXcrs(7n);
    expect(parseXcr0(xcrs)).toBe(7n);
    xcrs.copyWithin(24, 8, 24);
    xcrs.writeUInt32LE(2, 0);
    xcrs.writeUInt32LE(1, 8);
    xcrs.writeBigUInt64LE(99n, 16);
    expect(parseXcr0(xcrs)).toBe(7n);
    expect(parseXcr0(Buffer.alloc(392))).toBe(1n);
  });
});

describe('MSRs', () => {
  it('are asked for once each, the deadline timer after the counter', () => {
    const msrs = migratedMsrs();
    expect(new Set(msrs).size).toBe(msrs.length);
    expect(msrs.indexOf(0x6e0)).toBeGreaterThan(msrs.indexOf(0x10));
    expect(msrs).not.toContain(0x400);
    expect(migratedMsrs(0x10an)).toEqual(expect.arrayContaining([0x17a, 0x17b, 0x400, 0x427]));
  });

  it('are set only where this KVM has them or the section holds something', () => {
    const base = { ...freshVcpu(), msrs: [{ index: 0xc0000082, value: 0n }] };
    const { cpuCommon, cpu } = vcpuToSections(base, DEFAULT_TRAITS);
    cpu.specCtrl = 4n;
    const { msrs } = sectionsToVcpu(cpuCommon, cpu, base, DEFAULT_TRAITS);
    expect(msrs).toEqual([
      { index: 0xc0000082, value: 0n },
      { index: 0x48, value: 4n },
    ]);
  });

  it("leave KVM's own alone while they do not change", () => {
    const base = freshVcpu();
    const { cpuCommon, cpu } = vcpuToSections(base, DEFAULT_TRAITS);
    const set = () => sectionsToVcpu(cpuCommon, cpu, base, DEFAULT_TRAITS).msrs.map(({ index }) => index);
    expect(set()).not.toContain(0x4b564d06);
    cpu.asyncPfIntMsr = 0xf3n;
    expect(set()).toContain(0x4b564d06);
  });
});

describe('what is on its way into the guest', () => {
  const base = freshVcpu();
  const flags = parseEvents(base.events).flags;
  const saved = (events: Partial<typeof NO_EVENTS>, rflags = 0x202n) =>
    vcpuToSections(
      {
        ...base,
        regs: buildRegs({ regs: [], rip: 0n, rflags }),
        events: buildEvents({ ...NO_EVENTS, flags, ...events }),
      },
      DEFAULT_TRAITS,
    );

  it('is nothing as a rule', () => {
    expect(saved({}).cpu).toMatchObject({ interruptInjected: -1, exceptionNr: -1, hflags2: 0x101 });
  });

  it('travels as an injected exception, a page fault with its address in CR2', () => {
    const pending = { exceptionPending: 1, exceptionNr: 14, exceptionHasPayload: 1, exceptionPayload: 0xbeefn };
    const { cpu, losses } = saved({ ...pending, flags: flags | EVENT_PAYLOAD });
    expect(cpu).toMatchObject({ exceptionNr: 14, cr2: 0xbeefn, exceptionPending: 0 });
    expect(losses).toEqual([]);
  });

  it('puts the payload of a debug exception into DR6', () => {
    const pending = { exceptionPending: 1, exceptionNr: 1, exceptionHasPayload: 1, exceptionPayload: 0x4000n };
    expect(saved({ ...pending, flags: flags | EVENT_PAYLOAD }).cpu.dr[6]).toBe(0xffff4ff0n);
  });

  it('keeps a pending exception pending only where KVM can hold its payload', () => {
    const { cpuCommon, cpu } = saved({});
    Object.assign(cpu, { exceptionNr: 14, exceptionPending: 1, exceptionHasPayload: 1, exceptionPayload: 5n });
    const plain = sectionsToVcpu(cpuCommon, cpu, base, DEFAULT_TRAITS);
    expect(parseEvents(plain.events)).toMatchObject({ exceptionInjected: 1, exceptionPending: 0 });
    expect(parseSregs(plain.sregs).cr2).toBe(5n);
    const holding = { ...base, events: buildEvents({ ...NO_EVENTS, flags: flags | EVENT_PAYLOAD }) };
    const whole = sectionsToVcpu(cpuCommon, cpu, holding, DEFAULT_TRAITS);
    expect(parseEvents(whole.events)).toMatchObject({ exceptionPending: 1, exceptionPayload: 5n });
    expect(parseSregs(whole.sregs).cr2).toBe(0n);
  });

  it('is halted when the vCPU sleeps, and asleep again when a stream says only that it is halted', () => {
    const { cpuCommon, cpu } = vcpuToSections({ ...base, mpState: 3 }, DEFAULT_TRAITS);
    expect(cpuCommon.halted).toBe(1);
    expect(sectionsToVcpu(cpuCommon, { ...cpu, mpState: 0 }, base, DEFAULT_TRAITS).mpState).toBe(3);
  });

  it.each([
    [
      { exceptionInjected: 1, exceptionNr: 14, exceptionHasErrorCode: 1, exceptionErrorCode: 0x12 },
      'error code 12h of exception 14 in flight',
    ],
    [{ interruptShadow: SHADOW_MOV_SS }, 'kind of the interrupt shadow'],
    [{ smiPending: 1 }, 'pending SMI'],
    [{ latchedInit: 1 }, 'latched INIT'],
    [{ tripleFaultPending: 1 }, 'pending triple fault'],
  ])('says what it loses: %o', (events, loss) => {
    expect(saved(events).losses).toEqual([loss]);
  });
});

describe('the protection keys of the host in KVM’s image', () => {
  const image = buildXsave(
    { ...parseXsave(freshVcpu().xsave, AVX512_TRAITS.xsave), pkru: 0x55555554, xstateBv: 0x203n },
    AVX512_TRAITS.xsave,
    Buffer.alloc(4096),
  );
  const source = { ...freshVcpu(), xsave: image };

  it('stay there where the guest has none', () => {
    const traits = { ...AVX512_TRAITS, components: XSTATE_X87 | XSTATE_SSE | XSTATE_AVX };
    expect(vcpuToSections(source, traits)).toMatchObject({ cpu: { pkru: 0, xstateBv: 3n }, losses: [] });
  });

  it('are the guest’s where it has some', () => {
    const { cpu } = vcpuToSections(source, AVX512_TRAITS);
    expect(cpu).toMatchObject({ pkru: 0x55555554, xstateBv: XSTATE_PKRU | 3n });
  });
});

describe('state that no section carries', () => {
  const base = freshVcpu();

  it('is named: XSAVE components', () => {
    const xsave = Buffer.from(base.xsave);
    xsave.writeBigUInt64LE((1n << 17n) | (1n << 18n) | 3n, 512);
    expect(vcpuToSections({ ...base, xsave }, DEFAULT_TRAITS).losses).toEqual([
      'XSAVE component AMX tile configuration',
      'XSAVE component AMX tiles',
    ]);
  });

  it('is named: CR8, upper halves and MSRs that must be 0', () => {
    const sregs = buildSregs({ ...parseSregs(base.sregs), cr8: 3n });
    const msrs = [
      { index: 0x174, value: 0x100000010n },
      { index: 0x1d9, value: 1n },
    ];
    expect(vcpuToSections({ ...base, sregs, msrs }, DEFAULT_TRAITS).losses).toEqual([
      'high half of MSR 174h (100000010h)',
      'MSR DEBUGCTL (1h)',
      'CR8 (3)',
    ]);
  });

  it('stays as it is on the destination: CR8 and the APIC base', () => {
    const sregs = buildSregs({ ...parseSregs(base.sregs), cr8: 3n, apicBase: 0xfee00800n });
    const { cpuCommon, cpu } = vcpuToSections(base, DEFAULT_TRAITS);
    const set = sectionsToVcpu(cpuCommon, cpu, { ...base, sregs }, DEFAULT_TRAITS);
    expect(parseSregs(set.sregs)).toMatchObject({ cr8: 3n, apicBase: 0xfee00800n });
  });
});
