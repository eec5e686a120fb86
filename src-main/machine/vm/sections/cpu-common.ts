// SPDX-License-Identifier: Apache-2.0
import { bool, uint32 } from '../../engine/vmstate/fields.ts';
import { defineSubsection, defineTable } from '../../engine/vmstate/table.ts';
import type { TableState } from '../../engine/vmstate/table.ts';

/**
 * What every kind of CPU has. `halted` is 1 while the CPU sleeps in HLT; `interruptRequest` is a mask that only an
 * emulated CPU uses.
 */
export const cpuCommonTable = defineTable({
  name: 'cpu_common',
  version: 1,
  fields: [uint32('halted'), uint32('interruptRequest', 'interrupt_request')],
  subsections: [
    defineSubsection({
      name: 'cpu_common/crash_occurred',
      fields: [bool('crashOccurred', 'crash_occurred')],
      defaults: { crashOccurred: false },
      needed: (state) => state.crashOccurred,
    }),
  ],
});

export type CpuCommonState = TableState<typeof cpuCommonTable>;
