// SPDX-License-Identifier: Apache-2.0
/** What goes between the store's face and its thread. */
import type { Store } from './store.ts';
import type { StoreErrorCode } from './store-error.ts';

/** The same methods, answering at once: how they are on the thread. */
export type Sync<Methods> = {
  [Name in keyof Methods]: Methods[Name] extends (...args: infer Args) => Promise<infer Answer>
    ? (...args: Args) => Answer
    : never;
};

/** Every operation, and whether it writes. */
export const OPERATIONS = {
  listMachines: 'read',
  insertMachine: 'write',
  updateMachine: 'write',
  removeMachine: 'write',
  beginRun: 'write',
  updateRun: 'write',
  finishRun: 'write',
  getRun: 'read',
  listRuns: 'read',
  deleteRun: 'write',
  deleteRunsEndedBefore: 'write',
  interruptOrphanedRuns: 'write',
  appendSamples: 'write',
  readSamples: 'read',
  countSamples: 'read',
  appendEvents: 'write',
  readEvents: 'read',
  countEvents: 'read',
  listProfiles: 'read',
  putProfile: 'write',
  deleteProfile: 'write',
  getSettings: 'read',
  setSettings: 'write',
} as const satisfies Readonly<Record<OperationName, 'read' | 'write'>>;

export type OperationName = Exclude<keyof Store, 'path' | 'problem' | 'notices' | 'onProblem' | 'close'>;
export type Operations = Sync<Pick<Store, OperationName>>;

/** Given to the thread when it starts. */
export interface WorkerOptions {
  readonly path: string;
  readonly whenUnusable: 'memory' | 'throw';
  readonly busyTimeoutMs: number;
}

export type Request =
  | { readonly kind: 'call'; readonly id: number; readonly operation: OperationName; readonly args: readonly unknown[] }
  | { readonly kind: 'close'; readonly id: number };

export interface StoreErrorData {
  readonly code: StoreErrorCode;
  readonly message: string;
}

/** `problem` goes with every answer: it changes only by what an operation met. */
export type Response =
  | { readonly kind: 'opened'; readonly problem: string | null; readonly notices: readonly string[] }
  | { readonly kind: 'unusable'; readonly error: StoreErrorData }
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown; readonly problem: string | null }
  | { readonly kind: 'failed'; readonly id: number; readonly error: StoreErrorData; readonly problem: string | null };
