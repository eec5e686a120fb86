// SPDX-License-Identifier: Apache-2.0
/** One migration between two machines that somebody else has started: what is asked for, what is seen, what comes of it. */
import type { MigrationSettings } from '../../../src-shared/profile.ts';
import type { MigrationSample } from '../demo/types.ts';

export interface PairPlan {
  /** QMP sockets. At least one is there; both, unless the stream is kept (file or exec). */
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly uri: string;
  readonly settings: MigrationSettings;
  readonly profileName: string;
}

export type PairProgress =
  | { readonly phase: 'connecting' }
  | {
      readonly phase: 'migrating';
      /** undefined before there are numbers. */
      readonly migration: MigrationSample | undefined;
      readonly expectedDowntimeMs: number | undefined;
      readonly elapsedMs: number;
    }
  | { readonly phase: 'restoring'; readonly elapsedMs: number }
  | { readonly phase: 'cancelling' };

export type Side = 'source' | 'destination';

export interface PairEvent {
  readonly side: Side;
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Milliseconds since `migrate`. */
  readonly t: number;
}

/** `query-migrate` of an end with its run state; null where it could not be asked any more, or there is none. */
export type EndRecord = Readonly<Record<string, unknown>> | null;

export interface PairResult {
  readonly uri: string;
  readonly events: readonly PairEvent[];
  readonly source: EndRecord;
  readonly destination: EndRecord;
}

/** `BLOCKED`: nothing was begun. `FAILED`, `CANCELLED`: the sentence says where the guest is. */
export class PairError extends Error {
  override readonly name = 'PairError';
  readonly code: 'BLOCKED' | 'FAILED' | 'CANCELLED';
  /** Of a migration that was begun. */
  readonly result: PairResult | undefined;

  constructor(code: PairError['code'], message: string, options: ErrorOptions & { readonly result?: PairResult } = {}) {
    super(message, options);
    this.code = code;
    this.result = options.result;
  }
}
