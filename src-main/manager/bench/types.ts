// SPDX-License-Identifier: Apache-2.0
/** The result document of a benchmark; `bench --json` prints it. */
import type { BenchRow } from './rows.ts';
import type { Summary } from './statistics.ts';

/** The box, without its name. */
export interface BenchHost {
  readonly cpu: string;
  readonly processors: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  /** What the box itself runs on: `none`, or the hypervisor's kind. */
  readonly hypervisor: string;
  /** Load average of the last minute, before the first measurement: what else the box was doing. */
  readonly loadBefore: number;
  readonly loadAfter: number;
}

/** One transfer, measured. */
export interface TransferSample {
  /** The source's own `total-time`. */
  readonly totalMs: number;
  /** From sending `migrate` to the source's `completed`, seen from outside. */
  readonly wallMs: number;
  /** Processor time of either end over the transfer, in steps of 10 ms. */
  readonly sourceCpuSeconds: number;
  readonly destinationCpuSeconds: number;
}

export interface ContestantResult {
  readonly name: string;
  /** In the order of the rounds. */
  readonly samples: readonly TransferSample[];
  readonly totalMs: Summary;
  readonly wallMs: Summary;
  /** RAM bytes a second, from `totalMs`. */
  readonly bytesPerSecond: Summary;
  /** Both ends together. */
  readonly cpuSeconds: Summary;
}

/** Godwit against one peer, pair by pair; above 1 Godwit is the better one. */
export interface Comparison {
  readonly peer: string;
  /** Throughput by `total-time`. */
  readonly speed: Summary;
  /** Throughput by the time seen from outside. */
  readonly wallSpeed: Summary;
  /** Processor time of both ends: the peer's for each of Godwit's. */
  readonly cpuEconomy: Summary;
}

export type LimitKind = 'socket' | 'memcpy' | 'scan';

/** What the box can do with none of a migration's work, measured in the same rounds. */
export interface LimitResult {
  readonly kind: LimitKind;
  /** A sentence: what was done. */
  readonly meaning: string;
  readonly bytesPerSecond: Summary;
  /** Godwit's throughput as a part of it, round by round. */
  readonly godwitShare: Summary;
}

export interface RowResult extends BenchRow {
  readonly contestants: readonly ContestantResult[];
  readonly comparisons: readonly Comparison[];
  readonly limits: readonly LimitResult[];
}

export interface BenchResult {
  readonly quick: boolean;
  readonly host: BenchHost;
  readonly rows: readonly RowResult[];
}

/** The benchmark could not be run to its end. The message is one sentence with the reason. */
export class BenchError extends Error {
  override readonly name = 'BenchError';
  readonly code: 'CANCELLED' | 'FAILED';

  constructor(code: BenchError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
