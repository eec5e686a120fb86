// SPDX-License-Identifier: Apache-2.0
/** One machine of the list as the manager holds it, and what the screens are told of it. */
import { CallError } from '../../../src-shared/call-error.ts';
import type { MachineSettings, MachineView } from '../../../src-shared/machine-view.ts';
import type { MachineRow } from '../store/types.ts';
import type { LiveMachine } from './live-machine.ts';
import { canMove, machineState, type MachineFacts } from './machine-state.ts';

/** One machine of the list. */
export interface MachineEntry {
  readonly id: string;
  row: MachineRow;
  live: LiveMachine | undefined;
  /** `live` without a {@link live}: the process was found again and has not answered yet. */
  process: MachineFacts['process'];
  died: boolean;
  /** When its guest was started: performance.now(). */
  startedAt: number | null;
  run: { readonly id: string; readonly role: 'source' | 'destination' } | null;
  lastRun: MachineView['lastRun'];
  listensAt: string | null;
}

export function newEntry(row: MachineRow): MachineEntry {
  return {
    id: row.id,
    row,
    live: undefined,
    process: 'none',
    died: row.lastWords !== null,
    startedAt: null,
    run: null,
    lastRun: null,
    listensAt: null,
  };
}

function factsOf(entry: MachineEntry): MachineFacts {
  return {
    process: entry.process,
    died: entry.died,
    saved: entry.row.savedTo !== null,
    runState: entry.live?.runState ?? null,
    silent: entry.live === undefined ? entry.process === 'live' : entry.live.silent,
    role: entry.run?.role ?? null,
    blockedReasons: entry.live?.blockedReasons ?? [],
  };
}

export function viewOf(entry: MachineEntry): MachineView {
  const facts = factsOf(entry);
  const { row, live } = entry;
  return {
    id: entry.id,
    settings: row.settings,
    kind: row.kind,
    state: machineState(facts),
    runState: facts.runState,
    pid: live?.process.pid ?? null,
    uptimeMs: entry.startedAt === null ? null : performance.now() - entry.startedAt,
    contactAgeMs: live?.contactAgeMs ?? null,
    userQmpPath: live?.process.userQmpPath ?? null,
    canMove: canMove(facts),
    activeRunId: entry.run?.id ?? null,
    lastRun: entry.lastRun,
    lastWords: row.lastWords,
    savedTo: entry.process === 'none' ? row.savedTo : null,
    createdAt: row.createdAt,
    listensAt: entry.listensAt,
  };
}

/** What the schema cannot say because two values meet. */
export function checkSettings({ memoryBytes, workingSetBytes, cpus }: MachineSettings): void {
  if (workingSetBytes >= memoryBytes) {
    throw new CallError('invalid', 'The working set does not fit into the memory: make it smaller.');
  }
  if (workingSetBytes < cpus * 4096) {
    throw new CallError('invalid', 'The working set needs at least one page of 4 KiB for each vCPU.');
  }
}

/** What went wrong, for a user. */
export const sentenceOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
