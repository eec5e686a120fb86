// SPDX-License-Identifier: Apache-2.0
/**
 * What Godwit remembers: machines, runs with their samples and events, profiles, settings. One SQLite file, which several
 * processes may read and write at once; the database is used on a thread of its own.
 */
import type { Settings } from '../../../src-shared/contract.ts';
import type { RecordedRun, RunEvent, RunSample } from '../../../src-shared/run.ts';
import type {
  MachineChange,
  MachineRow,
  ProcessIdentity,
  RowRange,
  RunChange,
  RunPage,
  RunQuery,
  SavedProfile,
} from './types.ts';

export { StoreError } from './store-error.ts';
export type { StoreErrorCode } from './store-error.ts';
export type * from './types.ts';

/**
 * Every method rejects with a {@link StoreError} and nothing else. A write is on disk (as far as a crash of this process
 * goes) when its promise resolves; each is one transaction, and calls take effect in the order in which they were made.
 */
export interface Store {
  /** The file. */
  readonly path: string;
  /**
   * Why what happens now is not kept, as a sentence; null when it is. Set where the file could not be opened for writing
   * (from then on everything is kept in memory), and while writes fail (disk full, locked): the next that succeeds clears it.
   */
  readonly problem: string | null;
  /** What was found at opening and needs no action: a damaged file was set aside, runs were interrupted. */
  readonly notices: readonly string[];
  /** Calls `listener` whenever `problem` changes; answers the function that ends it. */
  onProblem(listener: (problem: string | null) => void): () => void;

  /** Machines on the list, oldest first; with `deleted` also the ones taken off it. */
  listMachines(options?: { readonly deleted?: boolean }): Promise<readonly MachineRow[]>;
  insertMachine(machine: MachineRow): Promise<void>;
  /** `deletedAt` set is the soft delete, null its undo. NOT_FOUND where there is no such machine. */
  updateMachine(id: string, change: MachineChange): Promise<void>;
  /** For good. Its runs stay. */
  removeMachine(id: string): Promise<void>;

  /** Writes a run's first record. `owner`: the process that drives it, by default this one. */
  beginRun(run: RecordedRun, owner?: ProcessIdentity): Promise<void>;
  updateRun(id: string, change: RunChange): Promise<void>;
  /** The last update: sets what it is given and lets go of the owner. `outcome` must not be `active`. */
  finishRun(id: string, change: RunChange & Pick<RecordedRun, 'outcome' | 'endedAt'>): Promise<void>;
  getRun(id: string): Promise<RecordedRun>;
  listRuns(query: RunQuery): Promise<RunPage>;
  /** With its samples and events. */
  deleteRun(id: string): Promise<void>;
  /** Deletes runs that ended before this ISO 8601 time; answers how many. */
  deleteRunsEndedBefore(time: string): Promise<number>;
  /**
   * Active runs whose owner is gone become `interrupted`. Answers their ids. Done once at opening too.
   */
  interruptOrphanedRuns(): Promise<readonly string[]>;

  /** Adds to the end of a run's samples. Answers how many there are now. */
  appendSamples(runId: string, samples: readonly RunSample[]): Promise<number>;
  readSamples(runId: string, range: RowRange): Promise<readonly RunSample[]>;
  countSamples(runId: string): Promise<number>;
  /** Adds events; an event whose `seq` is there already is left as it is, so that a batch may be sent again. */
  appendEvents(runId: string, events: readonly RunEvent[]): Promise<number>;
  readEvents(runId: string, range: RowRange): Promise<readonly RunEvent[]>;
  countEvents(runId: string): Promise<number>;

  /** Saved ones, by name. The shipped ones are not in the store. */
  listProfiles(): Promise<readonly SavedProfile[]>;
  /** Inserts, or replaces the one of that id. EXISTS where another one has the name. */
  putProfile(profile: SavedProfile): Promise<void>;
  deleteProfile(id: string): Promise<void>;

  /** Defaults where nothing, or nothing valid, is kept. */
  getSettings(): Promise<Settings>;
  setSettings(change: Partial<Settings>): Promise<Settings>;

  /** Waits for what was asked before, and closes. May be called again. */
  close(): Promise<void>;
}

export interface StoreOptions {
  /** The file; by default `godwit.db` in the data folder. Its folder is created (mode 0700). */
  readonly path?: string;
  /**
   * What to do where the file is locked, newer, or cannot be used at all. `memory` (default): answer a store that keeps
   * everything in memory, with `problem` set. `throw`: reject with a {@link StoreError}, for callers who only read.
   * A read-only file is readable in both cases; a damaged one is set aside and a new one begun.
   */
  readonly whenUnusable?: 'memory' | 'throw';
  /** Milliseconds that one statement waits for another process's lock. */
  readonly busyTimeoutMs?: number;
}

/** Opens the store. Starts a thread, which loads the database module: call it when it is needed, not at start. */
export async function openStore(options: StoreOptions = {}): Promise<Store> {
  const { startStore } = await import('./client.ts');
  return startStore(options);
}
