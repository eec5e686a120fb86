// SPDX-License-Identifier: Apache-2.0
/** Makes a run's samples of what both ends answer to `query-migrate`. Pure. */
import { isMigrationStatus } from '../../../src-shared/migration/status.ts';
import type { MigrationStatus } from '../../../src-shared/migration/status.ts';
import type { RunSample } from '../../../src-shared/run.ts';
import type { MigrateReply } from '../machines/replies.ts';

export interface SampleFacts {
  /** Milliseconds since the run began. */
  readonly t: number;
  readonly source: MigrateReply;
  /** Null when it did not answer. */
  readonly destination: MigrateReply | null;
  /** The sample before; null for the first. */
  readonly previous: RunSample | null;
  readonly downtimeLimitMs: number;
  /** Bytes per second; 0: no limit. */
  readonly maxBandwidth: number;
}

/** Where a reply has no counters (setup, failed), those of the sample before stand on. */
export function runSampleOf(facts: SampleFacts): RunSample {
  const { t, source, destination, previous, downtimeLimitMs, maxBandwidth } = facts;
  const { ram } = source;
  const measured = ram === undefined ? 0 : (ram.mbps * 1e6) / 8;
  const transferredBytes = ram?.transferred ?? previous?.transferredBytes ?? 0;
  const pass = ram?.['dirty-sync-count'] ?? previous?.pass ?? 0;
  return {
    t,
    status: statusOf(source) ?? 'none',
    destinationStatus: destination === null ? null : (statusOf(destination) ?? 'none'),
    pass,
    transferredBytes,
    remainingBytes: ram?.remaining ?? previous?.remainingBytes ?? 0,
    totalBytes: ram?.total ?? previous?.totalBytes ?? 0,
    throughput: throughput(t, transferredBytes, previous),
    // The first reading compares two syncs, so there is none in the first pass; a completed run says 0 of it.
    dirtyRate:
      ram === undefined || pass < 2 || source.status === 'completed'
        ? (previous?.dirtyRate ?? null)
        : ram['dirty-pages-rate'] * ram['page-size'],
    expectedDowntimeMs: source['expected-downtime'] ?? null,
    downtimeLimitMs,
    thresholdBytes: measured > 0 ? (measured * downtimeLimitMs) / 1000 : (previous?.thresholdBytes ?? null),
    maxBandwidth,
    throttlePercent: source['cpu-throttle-percentage'] ?? null,
    normalPages: ram?.normal ?? previous?.normalPages ?? 0,
    zeroPages: ram?.duplicate ?? previous?.zeroPages ?? 0,
  };
}

/** Bytes a second since the sample before. A counter that ran backwards (a new attempt) counts as nothing sent. */
function throughput(t: number, transferredBytes: number, previous: RunSample | null): number {
  const milliseconds = t - (previous?.t ?? 0);
  const bytes = transferredBytes - (previous?.transferredBytes ?? 0);
  return milliseconds > 0 && bytes > 0 ? (bytes * 1000) / milliseconds : 0;
}

function statusOf({ status }: MigrateReply): MigrationStatus | undefined {
  return status !== undefined && isMigrationStatus(status) ? status : undefined;
}
