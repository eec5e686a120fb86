// SPDX-License-Identifier: Apache-2.0
import {
  inline,
  int32,
  scalarArray,
  struct,
  structArray,
  uint16,
  uint32,
  uint64,
  uint8,
} from '../../engine/vmstate/fields.ts';
import { defineTable } from '../../engine/vmstate/table.ts';
import type { TableState } from '../../engine/vmstate/table.ts';
import { cpuSubsections } from './cpu-subsections.ts';

/** A segment register; `flags` is the second word of its descriptor, masked to the attributes. */
const segmentTable = defineTable({
  name: 'segment',
  version: 1,
  fields: [uint32('selector'), uint64('base'), uint32('limit'), uint32('flags')],
});

export type SegmentState = TableState<typeof segmentTable>;

const fpregTable = defineTable({
  name: 'fpreg',
  version: 0,
  fields: [
    inline(
      'tmp',
      defineTable({
        name: 'fpreg_tmp',
        version: 0,
        fields: [uint64('mantissa', 'tmp_mant'), uint16('exponent', 'tmp_exp')],
      }),
    ),
  ],
});

const xmmTable = defineTable({
  name: 'xmm_reg',
  version: 1,
  fields: [uint64('low', '_q_ZMMReg[0]'), uint64('high', '_q_ZMMReg[1]')],
});

/** Bits 191–128 and 255–192 of a YMM register. */
const ymmHighTable = defineTable({
  name: 'ymmh_reg',
  version: 1,
  fields: [uint64('low', '_q_ZMMReg[2]'), uint64('high', '_q_ZMMReg[3]')],
});

const mtrrTable = defineTable({ name: 'mtrr_var', version: 1, fields: [uint64('base'), uint64('mask')] });

/** State of one x86 CPU. Registers in encoding order: RAX RCX RDX RBX RSP RBP RSI RDI R8–R15; ES CS SS DS FS GS. */
export const cpuTable = defineTable({
  name: 'cpu',
  version: 12,
  fields: [
    scalarArray('regs', 'uint64', 16, 'env.regs'),
    uint64('rip', 'env.eip'),
    uint64('rflags', 'env.eflags'),
    uint32('hflags', 'env.hflags'),
    uint16('fpuc', 'env.fpuc'),
    uint16('fpus', 'env.fpus_vmstate'),
    uint16('fptag', 'env.fptag_vmstate'),
    uint16('fpregsFormat', 'env.fpregs_format_vmstate'),
    structArray('fpregs', fpregTable, 8, 'env.fpregs'),
    structArray('segs', segmentTable, 6, 'env.segs'),
    struct('ldt', segmentTable, 'env.ldt'),
    struct('tr', segmentTable, 'env.tr'),
    struct('gdt', segmentTable, 'env.gdt'),
    struct('idt', segmentTable, 'env.idt'),
    uint32('sysenterCs', 'env.sysenter_cs'),
    uint64('sysenterEsp', 'env.sysenter_esp'),
    uint64('sysenterEip', 'env.sysenter_eip'),
    uint64('cr0', 'env.cr[0]'),
    uint64('cr2', 'env.cr[2]'),
    uint64('cr3', 'env.cr[3]'),
    uint64('cr4', 'env.cr[4]'),
    scalarArray('dr', 'uint64', 8, 'env.dr'),
    int32('a20Mask', 'env.a20_mask'),
    uint32('mxcsr', 'env.mxcsr'),
    structArray('xmm', xmmTable, 16, 'env.xmm_regs[0]'),
    uint64('efer', 'env.efer'),
    uint64('star', 'env.star'),
    uint64('lstar', 'env.lstar'),
    uint64('cstar', 'env.cstar'),
    uint64('fmask', 'env.fmask'),
    uint64('kernelGsBase', 'env.kernelgsbase'),
    uint32('smbase', 'env.smbase'),
    uint64('pat', 'env.pat'),
    uint32('hflags2', 'env.hflags2'),
    uint64('vmHsave', 'env.vm_hsave'),
    uint64('vmVmcb', 'env.vm_vmcb'),
    uint64('tscOffset', 'env.tsc_offset'),
    uint64('intercept', 'env.intercept'),
    uint16('interceptCrRead', 'env.intercept_cr_read'),
    uint16('interceptCrWrite', 'env.intercept_cr_write'),
    uint16('interceptDrRead', 'env.intercept_dr_read'),
    uint16('interceptDrWrite', 'env.intercept_dr_write'),
    uint32('interceptExceptions', 'env.intercept_exceptions'),
    uint8('vTpr', 'env.v_tpr'),
    scalarArray('mtrrFixed', 'uint64', 11, 'env.mtrr_fixed'),
    uint64('mtrrDefType', 'env.mtrr_deftype'),
    structArray('mtrrVar', mtrrTable, 8, 'env.mtrr_var'),
    int32('interruptInjected', 'env.interrupt_injected'),
    uint32('mpState', 'env.mp_state'),
    uint64('tsc', 'env.tsc'),
    int32('exceptionNr', 'env.exception_nr'),
    uint8('softInterrupt', 'env.soft_interrupt'),
    uint8('nmiInjected', 'env.nmi_injected'),
    uint8('nmiPending', 'env.nmi_pending'),
    uint8('hasErrorCode', 'env.has_error_code'),
    uint32('sipiVector', 'env.sipi_vector'),
    uint64('mcgCap', 'env.mcg_cap'),
    uint64('mcgStatus', 'env.mcg_status'),
    uint64('mcgCtl', 'env.mcg_ctl'),
    scalarArray('mceBanks', 'uint64', 40, 'env.mce_banks'),
    uint64('tscAux', 'env.tsc_aux'),
    uint64('systemTimeMsr', 'env.system_time_msr'),
    uint64('wallClockMsr', 'env.wall_clock_msr'),
    uint64('xcr0', 'env.xcr0'),
    uint64('xstateBv', 'env.xstate_bv'),
    structArray('ymmHigh', ymmHighTable, 16, 'env.xmm_regs[1]'),
  ],
  subsections: cpuSubsections,
  check: (state) => {
    if (state.fpregsFormat !== 0) return `x87 registers in format ${state.fpregsFormat}, only format 0 is known`;
    if (!isVectorOrNone(state.interruptInjected, 255)) return `interrupt ${state.interruptInjected} does not exist`;
    if (!isVectorOrNone(state.exceptionNr, 31)) return `exception ${state.exceptionNr} does not exist`;
    if (state.mpState > 4) return `multiprocessor state ${state.mpState} is not known`;
    return undefined;
  },
});

export type CpuState = TableState<typeof cpuTable>;

function isVectorOrNone(vector: number, last: number): boolean {
  return vector >= -1 && vector <= last;
}
