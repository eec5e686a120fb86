// SPDX-License-Identifier: Apache-2.0
/**
 * Conditional parts of the `cpu` section, in the order of the stream. Left out are those whose features no CPU model
 * here gives a guest: a stream that holds one (PMU, MPX, Hyper-V, protection keys for supervisors, nested guests, PT,
 * SGX, AMX, …) is refused by its name.
 */
import { int64, scalarArray, structArray, uint16, uint32, uint64, uint8 } from '../../engine/vmstate/fields.ts';
import { defineSubsection, defineTable } from '../../engine/vmstate/table.ts';
import type { Subsection } from '../../engine/vmstate/table.ts';

/** A subsection that is one 64-bit register, present when it differs from its reset value. */
function register<const K extends string>(
  name: string,
  key: K,
  field: string,
  reset = 0n,
): Subsection<Record<K, bigint>> {
  return {
    table: defineTable({ name: `cpu/${name}`, version: 1, fields: [uint64(key, `env.${field}`)] }),
    needed: (state: Record<K, bigint>) => state[key] !== reset,
    defaults: { [key]: reset },
  };
}

/** The same for 32 bits; the reset value is 0. */
function register32<const K extends string>(name: string, key: K): Subsection<Record<K, number>> {
  return {
    table: defineTable({ name: `cpu/${name}`, version: 1, fields: [uint32(key, `env.${name}`)] }),
    needed: (state: Record<K, number>) => state[key] !== 0,
    defaults: { [key]: 0 },
  };
}

/** Raised inside a nested guest and not yet delivered. */
const exceptionInfo = defineSubsection({
  name: 'cpu/exception_info',
  fields: [
    uint8('exceptionPending', 'env.exception_pending'),
    uint8('exceptionInjected', 'env.exception_injected'),
    uint8('exceptionHasPayload', 'env.exception_has_payload'),
    uint64('exceptionPayload', 'env.exception_payload'),
  ],
  defaults: { exceptionPending: 0, exceptionInjected: 0, exceptionHasPayload: 0, exceptionPayload: 0n },
  needed: (state) => state.exceptionPending !== 0,
});

/** Last x87 opcode, instruction and data pointer. */
const fpopIpDp = defineSubsection({
  name: 'cpu/fpop_ip_dp',
  fields: [uint16('fpop', 'env.fpop'), uint64('fpip', 'env.fpip'), uint64('fpdp', 'env.fpdp')],
  defaults: { fpop: 0, fpip: 0n, fpdp: 0n },
  needed: (state) => state.fpop !== 0 || state.fpip !== 0n || state.fpdp !== 0n,
});

/** Bits 511–256 of ZMM0–15. */
const zmmHighTable = defineTable({
  name: 'zmmh_reg',
  version: 1,
  fields: [
    uint64('q4', '_q_ZMMReg[4]'),
    uint64('q5', '_q_ZMMReg[5]'),
    uint64('q6', '_q_ZMMReg[6]'),
    uint64('q7', '_q_ZMMReg[7]'),
  ],
});

/** ZMM16–31, whole. */
const zmmTable = defineTable({
  name: 'hi16_zmm_reg',
  version: 1,
  fields: [
    uint64('q0', '_q_ZMMReg[0]'),
    uint64('q1', '_q_ZMMReg[1]'),
    uint64('q2', '_q_ZMMReg[2]'),
    uint64('q3', '_q_ZMMReg[3]'),
    uint64('q4', '_q_ZMMReg[4]'),
    uint64('q5', '_q_ZMMReg[5]'),
    uint64('q6', '_q_ZMMReg[6]'),
    uint64('q7', '_q_ZMMReg[7]'),
  ],
});

const anyNotZero = (items: readonly object[]) => items.some((item) => Object.values(item).some((quad) => quad !== 0n));

const avx512 = defineSubsection({
  name: 'cpu/avx512',
  fields: [
    scalarArray('opmask', 'uint64', 8, 'env.opmask_regs'),
    structArray('zmmHigh', zmmHighTable, 16, 'env.xmm_regs[0]'),
    structArray('hi16Zmm', zmmTable, 16, 'env.xmm_regs[1]'),
  ],
  defaults: {
    opmask: Array.from({ length: 8 }, () => 0n),
    zmmHigh: Array.from({ length: 16 }, () => ({ q4: 0n, q5: 0n, q6: 0n, q7: 0n })),
    hi16Zmm: Array.from({ length: 16 }, () => ({ q0: 0n, q1: 0n, q2: 0n, q3: 0n, q4: 0n, q5: 0n, q6: 0n, q7: 0n })),
  },
  needed: (state) => state.opmask.some((mask) => mask !== 0n) || anyNotZero(state.zmmHigh) || anyNotZero(state.hi16Zmm),
});

const tscKhz = defineSubsection({
  name: 'cpu/tsc_khz',
  fields: [int64('tscKhz', 'env.tsc_khz')],
  defaults: { tscKhz: 0n },
  needed: (state) => state.tscKhz !== 0n,
});

export const cpuSubsections = [
  exceptionInfo,
  register('async_pf_msr', 'asyncPfMsr', 'async_pf_en_msr'),
  register('async_pf_int_msr', 'asyncPfIntMsr', 'async_pf_int_msr'),
  register('async_pv_eoi_msr', 'pvEoiMsr', 'pv_eoi_en_msr'),
  register('steal_time_msr', 'stealTimeMsr', 'steal_time_msr'),
  register('poll_control_msr', 'pollControlMsr', 'poll_control_msr', 1n),
  fpopIpDp,
  register('msr_tsc_adjust', 'tscAdjust', 'tsc_adjust'),
  register('msr_tscdeadline', 'tscDeadline', 'tsc_deadline'),
  register('msr_ia32_misc_enable', 'miscEnable', 'msr_ia32_misc_enable', 1n),
  register('msr_ia32_feature_control', 'featureControl', 'msr_ia32_feature_control'),
  avx512,
  register('xss', 'xss', 'xss'),
  register32('umwait', 'umwait'),
  tscKhz,
  register('msr_smi_count', 'smiCount', 'msr_smi_count'),
  register32('pkru', 'pkru'),
  register('spec_ctrl', 'specCtrl', 'spec_ctrl'),
] as const;
