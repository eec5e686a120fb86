// SPDX-License-Identifier: Apache-2.0
import type { MachineEvent } from '../machines/link.ts';

/** What the demo is asked to do. */
export interface DemoOptions {
  readonly mode: 'precopy';
  readonly memoryBytes: number;
  readonly cpus: number;
  /** Pages a second, all vCPUs together. */
  readonly dirtyRate: number;
  readonly workingSetBytes: number;
  /** Where the destination listens; absent: a unix socket in its private folder. `tcp:HOST:0` lets the kernel choose. */
  readonly uri?: string;
  /**
   * Where the source connects, given where the destination listens. Absent: to the same address. Whoever wants to sit
   * between the two ends (a proxy) answers its own address.
   */
  readonly route?: (destinationUri: string) => string | Promise<string>;
}

export type Side = 'source' | 'destination';

/** An event of one side; `t` is milliseconds since `migrate` was issued, on a monotonic clock. */
export interface DemoEvent {
  readonly side: Side;
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly t: number;
}

/** `godwit demo --json`. */
export interface DemoResult {
  readonly mode: DemoOptions['mode'];
  /** Completed, and the guest continued: no corruption, generations strictly continuing. */
  readonly verified: boolean;
  readonly pids: Readonly<Record<Side, number>>;
  readonly events: readonly DemoEvent[];
  /** `query-migrate` of each side with its run state; null when that side was gone before it could be asked. */
  readonly source: Readonly<Record<string, unknown>> | null;
  readonly destination: Readonly<Record<string, unknown>> | null;
  readonly guest: {
    /** Sums over the vCPUs: when `migrate` was issued, the source's last, and at the end. */
    readonly generationBefore: number;
    readonly generationAtStop: number;
    readonly generationAfter: number;
    /** Complete sweeps of every vCPU that began after the switchover. */
    readonly sweepsAfter: number;
    /** CORRUPT lines of either side. */
    readonly corrupt: number;
    readonly longestPauseMs: number;
  };
}

export type DemoFailureCode = 'BLOCKED' | 'FAILED' | 'CANCELLED';

/** The demo ended without a verified result. The message says what happened and where the guest is. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
  readonly code: DemoFailureCode;
  /** What there is to report, when the migration had begun. */
  readonly result: DemoResult | undefined;

  constructor(code: DemoFailureCode, message: string, options?: ErrorOptions & { readonly result?: DemoResult }) {
    super(message, options);
    this.code = code;
    this.result = options?.result;
  }
}

/** A migration under way, as `query-migrate` tells it. */
export interface MigrationSample {
  readonly status: string;
  /** Pass over memory, 1 for the first. */
  readonly pass: number;
  readonly transferredBytes: number;
  readonly remainingBytes: number;
  readonly totalBytes: number;
  /** Payload rate of the last window, bytes a second. */
  readonly throughput: number;
  /** Bytes of memory that the guest dirties a second; 0 before the first measurement. */
  readonly dirtyBytesPerSecond: number;
  readonly downtimeLimitMs: number;
}

/** Where the demo is. `elapsedMs` counts from the start of the phase. */
export type DemoProgress =
  | { readonly phase: 'starting' }
  | {
      readonly phase: 'warming-up';
      readonly pids: Readonly<Record<Side, number>>;
      readonly generation: number;
      readonly elapsedMs: number;
    }
  | {
      readonly phase: 'migrating';
      readonly uri: string;
      readonly migration: MigrationSample | undefined;
      readonly generation: number;
      /** Guest generations a second over the last samples. */
      readonly generationRate: number;
      readonly elapsedMs: number;
    }
  | {
      readonly phase: 'verifying';
      readonly sourcePid: number;
      readonly sweeps: number;
      readonly sweepsNeeded: number;
      readonly staticPasses: number;
      readonly staticPassesNeeded: number;
      readonly generation: number;
      readonly generationRate: number;
      readonly elapsedMs: number;
    }
  | { readonly phase: 'cancelling' };

/** An event before it is placed on the migration's time line. */
export interface SidedEvent extends MachineEvent {
  readonly side: Side;
}
