// SPDX-License-Identifier: Apache-2.0
import { int64, unused } from '../../engine/vmstate/fields.ts';
import { defineTable } from '../../engine/vmstate/table.ts';
import type { TableState } from '../../engine/vmstate/table.ts';

/** Bases of the machine's virtual clocks at the stop, nanoseconds; device timers are relative to them. */
export const timerTable = defineTable({
  name: 'timer',
  version: 2,
  fields: [int64('cpuTicksOffset', 'cpu_ticks_offset'), unused(8), int64('cpuClockOffset', 'cpu_clock_offset')],
});

export type TimerState = TableState<typeof timerTable>;
