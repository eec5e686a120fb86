// SPDX-License-Identifier: Apache-2.0
/** What the store keeps, besides the types that the screens share. Everything crosses a thread: plain data only. */
import { z } from 'zod';
import { machineId, machineSettings } from '../../../src-shared/machine-view.ts';
import { profile } from '../../../src-shared/profile.ts';
import type { RecordedRun, RunOutcome, RunSummary } from '../../../src-shared/run.ts';

/**
 * A process, told apart from any other that ever had its number: by when it was started (field 22 of /proc/PID/stat),
 * in which boot, in which PID namespace.
 */
export const processIdentity = z.strictObject({
  pid: z.int().positive(),
  /** Clock ticks since boot. */
  startTicks: z.int().nonnegative(),
  bootId: z.string(),
  pidNamespace: z.string(),
});
export type ProcessIdentity = z.infer<typeof processIdentity>;

/** What is needed to find a machine's process again. */
export const machineProcessFacts = z.strictObject({
  identity: processIdentity,
  /** Its folder in the runtime folder. */
  folder: z.string(),
  /** The manager's and the user's QMP sockets. */
  qmpPath: z.string(),
  userQmpPath: z.string().nullable(),
  serialPath: z.string().nullable(),
});
export type MachineProcessFacts = z.infer<typeof machineProcessFacts>;

/** One machine of the list. */
export const machineRow = z.strictObject({
  id: machineId,
  kind: z.enum(['godwit', 'qemu']),
  settings: machineSettings,
  /** It starts empty and waits for a guest. */
  receiver: z.boolean(),
  /** The process that it had when this was written; null: none. */
  process: machineProcessFacts.nullable(),
  lastWords: z.string().nullable(),
  /** ISO 8601. */
  createdAt: z.string(),
  /** Taken off the list at; null: on it. */
  deletedAt: z.string().nullable(),
  /** The file that has its guest when there is no process; while it is being saved, the file that is to have it. */
  savedTo: z.string().nullable(),
});
export type MachineRow = z.infer<typeof machineRow>;

/** What may change; `id`, `kind` and `createdAt` never do. */
export type MachineChange = Partial<Omit<MachineRow, 'id' | 'kind' | 'createdAt'>>;

export const savedProfile = z.strictObject({ id: z.string().min(1).max(80), profile });
export type SavedProfile = z.infer<typeof savedProfile>;

/** What may change of a run; `id`, `origin` and `startedAt` never do. */
export type RunChange = Partial<Omit<RecordedRun, 'id' | 'origin' | 'startedAt'>>;

/** Which runs, newest first. */
export interface RunQuery {
  readonly limit: number;
  /** Only runs that started before this ISO 8601 time: the `startedAt` of the last one seen. */
  readonly before?: string;
  /** Part of a name, a label, an error, or the beginning of an id; case does not matter. */
  readonly search?: string;
  readonly outcome?: RunOutcome;
  readonly machineId?: string;
}

/** `total`: how many there are for this search, whatever `limit` and `before`. */
export interface RunPage {
  readonly runs: readonly RunSummary[];
  readonly total: number;
}

/** Rows from `from` (an index that counts from 0), at most `limit`. */
export interface RowRange {
  readonly from: number;
  readonly limit: number;
}
