// SPDX-License-Identifier: Apache-2.0
/** Model-specific registers and the fields of the `cpu` section that carry them. */
import type { Msr } from '../../native/index.ts';
import type { CpuState } from '../sections/cpu.ts';

export const MSR_TSC = 0x10;
export const MSR_PAT = 0x277;
/** PAT after reset: write-back, write-through, uncached-, uncached, twice. */
export const PAT_RESET = 0x0007040600070406n;
export const SMBASE_RESET = 0x30000;
const MISC_ENABLE_RESET = 1n;
const POLL_CONTROL_RESET = 1n;

type KeysOf<V> = { [K in keyof CpuState]: CpuState[K] extends V ? K : never }[keyof CpuState];

interface MsrField {
  readonly index: number;
  readonly read: (cpu: CpuState) => bigint;
  readonly write: (cpu: CpuState, value: bigint) => void;
  /** What a CPU that does not have the register counts as holding. */
  readonly reset: bigint;
  /** Set only where it changes something: KVM may refuse even the value that it reports. */
  readonly onlyChanges: boolean;
}

function quad(index: number, key: KeysOf<bigint>, reset = 0n): MsrField {
  return {
    index,
    read: (cpu) => cpu[key],
    write: (cpu, value) => {
      cpu[key] = value;
    },
    reset,
    onlyChanges: false,
  };
}

/** A register of which the section carries the low 32 bits. */
function word(index: number, key: 'sysenterCs' | 'smbase' | 'umwait', reset = 0): MsrField {
  return {
    index,
    read: (cpu) => BigInt(cpu[key]),
    write: (cpu, value) => {
      cpu[key] = Number(value & 0xffffffffn);
    },
    reset: BigInt(reset),
    onlyChanges: false,
  };
}

/** A register of a feature that the CPU may lack. */
const optional = (field: MsrField): MsrField => ({ ...field, onlyChanges: true });

const mtrrFixed = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f].map(
  (index, position): MsrField => ({
    index,
    read: (cpu) => cpu.mtrrFixed[position] ?? 0n,
    write: (cpu, value) => {
      cpu.mtrrFixed[position] = value;
    },
    reset: 0n,
    onlyChanges: false,
  }),
);

const MTRR_VARIABLE = 0x200;
const MTRR_VARIABLE_COUNT = 8;
const mtrrVariable = Array.from({ length: MTRR_VARIABLE_COUNT }, (_, pair) => pair).flatMap((pair) =>
  (['base', 'mask'] as const).map((half, second): MsrField => ({
    index: MTRR_VARIABLE + pair * 2 + second,
    read: (cpu) => cpu.mtrrVar[pair]?.[half] ?? 0n,
    write: (cpu, value) => {
      const range = cpu.mtrrVar[pair];
      if (range !== undefined) range[half] = value;
    },
    reset: 0n,
    onlyChanges: false,
  })),
);

/** Machine check: carried when the CPU has banks, that is, MCG_CAP is not 0. */
const MCE_BANKS = 0x400;
const MCE_BANK_REGISTERS = 40;
const machineCheck: readonly MsrField[] = [
  quad(0x17a, 'mcgStatus'),
  quad(0x17b, 'mcgCtl'),
  ...Array.from({ length: MCE_BANK_REGISTERS }, (_, position): MsrField => ({
    index: MCE_BANKS + position,
    read: (cpu) => cpu.mceBanks[position] ?? 0n,
    write: (cpu, value) => {
      cpu.mceBanks[position] = value;
    },
    reset: 0n,
    onlyChanges: false,
  })),
];

/** In the order of writing: the deadline timer must come after the counter it refers to. */
const general: readonly MsrField[] = [
  optional(quad(0x3a, 'featureControl')),
  word(0x174, 'sysenterCs'),
  quad(0x175, 'sysenterEsp'),
  quad(0x176, 'sysenterEip'),
  quad(MSR_PAT, 'pat', PAT_RESET),
  quad(0xc0000081, 'star'),
  quad(0xc0000082, 'lstar'),
  quad(0xc0000083, 'cstar'),
  quad(0xc0000084, 'fmask'),
  quad(0xc0000102, 'kernelGsBase'),
  optional(quad(0xc0000103, 'tscAux')),
  optional(quad(0xc0010117, 'vmHsave')),
  optional(word(0x9e, 'smbase', SMBASE_RESET)),
  quad(0x1a0, 'miscEnable', MISC_ENABLE_RESET),
  optional(quad(0x34, 'smiCount')),
  optional(quad(0x48, 'specCtrl')),
  optional(quad(0xda0, 'xss')),
  optional(word(0xe1, 'umwait')),
  ...mtrrFixed,
  ...mtrrVariable,
  quad(0x2ff, 'mtrrDefType'),
  optional(quad(0x4b564d00, 'wallClockMsr')),
  optional(quad(0x4b564d01, 'systemTimeMsr')),
  optional(quad(0x4b564d02, 'asyncPfMsr')),
  optional(quad(0x4b564d06, 'asyncPfIntMsr')),
  optional(quad(0x4b564d04, 'pvEoiMsr')),
  optional(quad(0x4b564d03, 'stealTimeMsr')),
  optional(quad(0x4b564d05, 'pollControlMsr', POLL_CONTROL_RESET)),
  optional(quad(0x3b, 'tscAdjust')),
  quad(MSR_TSC, 'tsc'),
  quad(0x6e0, 'tscDeadline'),
];

/** Registers that no section carries and that must therefore hold nothing: read to be reported, never written. */
const WATCHED: ReadonlyMap<number, string> = new Map([
  [0x140, 'MISC_FEATURES_ENABLES'],
  [0x1d9, 'DEBUGCTL'],
]);

/** Registers to be read for a migration. `mcgCap` is the CPU's MCG_CAP, 0 for one without machine check. */
export function migratedMsrs(mcgCap = 0n): number[] {
  return [...fields(mcgCap).map(({ index }) => index), ...WATCHED.keys()];
}

/** Puts what KVM answered into the section; registers that KVM does not have count as reset. Returns what is lost. */
export function msrsToSection(msrs: readonly Msr[], cpu: CpuState, mcgCap: bigint): string[] {
  const values = new Map(msrs.map(({ index, value }) => [index, value]));
  const losses: string[] = [];
  for (const field of fields(mcgCap)) {
    const value = values.get(field.index) ?? field.reset;
    field.write(cpu, value);
    if (field.read(cpu) !== value) losses.push(`high half of MSR ${hex(field.index)} (${hex(value)})`);
  }
  for (const [index, name] of WATCHED) {
    const value = values.get(index) ?? 0n;
    if (value !== 0n) losses.push(`MSR ${name} (${hex(value)})`);
  }
  return losses;
}

/**
 * The registers to be set on a vCPU that holds `present` now, in the order of writing. Left out are registers that this
 * KVM does not have and that the section leaves at reset.
 */
export function sectionToMsrs(cpu: CpuState, present: readonly Msr[], mcgCap: bigint): Msr[] {
  const held = new Map(present.map(({ index, value }) => [index, value]));
  return fields(mcgCap).flatMap((field) => {
    const value = field.read(cpu);
    const before = held.get(field.index);
    const idle = before === undefined ? value === field.reset : field.onlyChanges && value === before;
    return idle ? [] : [{ index: field.index, value }];
  });
}

function fields(mcgCap: bigint): readonly MsrField[] {
  return mcgCap === 0n ? general : [...machineCheck, ...general];
}

function hex(value: number | bigint): string {
  return `${value.toString(16).toUpperCase()}h`;
}
