// SPDX-License-Identifier: Apache-2.0
/** Sections that Godwit's machines have: read by the tables that save and load them. */
import { bufferSource } from '../engine/vmstate/byte-source.ts';
import { inspectSection } from '../engine/vmstate/inspect.ts';
import { loadSection } from '../engine/vmstate/load.ts';
import type { Table } from '../engine/vmstate/table.ts';
import { cpuCommonTable } from '../vm/sections/cpu-common.ts';
import { cpuTable } from '../vm/sections/cpu.ts';
import { globalStateTable } from '../vm/sections/globalstate.ts';
import { serialTable } from '../vm/sections/serial.ts';
import { timerTable } from '../vm/sections/timer.ts';
import type { FieldReport } from './report.ts';

export interface KnownSection {
  readonly length: number;
  readonly fields: FieldReport[];
}

type ReadKnown = (bytes: Uint8Array, version: number) => Promise<KnownSection>;

function known<S extends object>(table: Table<S>): ReadKnown {
  return async (bytes, version) => {
    const source = bufferSource(bytes);
    const state = await loadSection(table, source, version);
    return { length: source.offset, fields: inspectSection(table, state) };
  };
}

const KNOWN: ReadonlyMap<string, ReadKnown> = new Map([
  [timerTable.name, known(timerTable)],
  [cpuCommonTable.name, known(cpuCommonTable)],
  [cpuTable.name, known(cpuTable)],
  [serialTable.name, known(serialTable)],
  [globalStateTable.name, known(globalStateTable)],
]);

/** How a section's payload is read from the bytes that begin with it; undefined for sections without a table. */
export function knownSection(idstr: string): ReadKnown | undefined {
  return KNOWN.get(idstr);
}
