// SPDX-License-Identifier: Apache-2.0
import type { MigrationFacts } from '../../../src-shared/migration/info.ts';
import type { MigrationParameters } from '../../../src-shared/migration/parameters.ts';
import type { OutgoingMigration } from '../engine/outgoing.ts';
import { TARGET_PAGE_SIZE } from '../engine/stream/wire.ts';

/** Whole milliseconds, as QEMU counts. */
const whole = (ms: number): number => Math.round(ms);

/** What an outgoing migration knows at `now` (monotonic milliseconds), in QEMU's names and units. */
export function outgoingFacts(
  migration: OutgoingMigration,
  parameters: MigrationParameters,
  now: number,
): MigrationFacts {
  const { statistics, estimate, error, status } = migration;
  const completed = status === 'completed';
  const since = statistics.startedAt === undefined ? undefined : now - statistics.startedAt;
  const total = statistics.totalMs ?? since;
  return {
    ...(statistics.setupMs !== undefined && { 'setup-time': whole(statistics.setupMs) }),
    ...(total !== undefined && { 'total-time': whole(total) }),
    'expected-downtime': whole(estimate.expectedDowntimeMs ?? Number(parameters['downtime-limit'])),
    ...(statistics.downtimeMs !== undefined && { downtime: whole(statistics.downtimeMs) }),
    ram: {
      transferred: migration.transferredBytes,
      remaining: completed ? 0 : migration.remainingBytes,
      total: migration.totalBytes,
      duplicate: statistics.zeroPages,
      skipped: 0,
      normal: statistics.normalPages,
      'normal-bytes': statistics.normalPages * TARGET_PAGE_SIZE,
      'dirty-pages-rate': statistics.dirtyPagesPerSecond,
      mbps: statistics.megabitsPerSecond,
      'dirty-sync-count': statistics.syncCount,
      'postcopy-requests': 0,
      'page-size': TARGET_PAGE_SIZE,
      'multifd-bytes': 0,
      'pages-per-second': statistics.pagesPerSecond,
      'precopy-bytes': statistics.precopyBytes,
      'downtime-bytes': statistics.downtimeBytes,
      'postcopy-bytes': 0,
      'dirty-sync-missed-zero-copy': 0,
    },
    // A cancel is no error: whoever asked for it knows.
    ...(error !== undefined && error.code !== 'cancelled' && { 'error-desc': error.message }),
  };
}
