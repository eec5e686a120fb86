// SPDX-License-Identifier: Apache-2.0
/** What the progress of `godwit migrate` looks like. Pure: facts in, lines out. */
import { formatBytes } from '../../../src-shared/sizes.ts';
import type { PairProgress } from '../../manager/pair/types.ts';
import { meter, phaseOf } from './migration-lines.ts';
import { cutLines, type ProgressStyle } from './progress-display.ts';
import { formatDuration } from './style.ts';

export function migrateLines(progress: PairProgress, style: ProgressStyle): string[] {
  return cutLines(plainLines(progress, style.bars), style);
}

function plainLines(progress: PairProgress, bars: boolean): string[] {
  switch (progress.phase) {
    case 'connecting':
      return ['Asking both machines'];
    case 'cancelling':
      return ['Cancelling'];
    case 'restoring':
      return [`Restoring · ${formatDuration(progress.elapsedMs)}`];
    case 'migrating': {
      const { migration: sample, expectedDowntimeMs, elapsedMs } = progress;
      if (sample === undefined) return ['Connecting'];
      return [
        `${phaseOf(sample)} · pass ${String(Math.max(1, sample.pass))} · ${formatDuration(elapsedMs)}`,
        meter(sample, bars),
        [
          `${formatBytes(sample.throughput)}/s`,
          ...(sample.dirtyBytesPerSecond > 0 ? [`guest dirties ${formatBytes(sample.dirtyBytesPerSecond)}/s`] : []),
          `${formatBytes(sample.remainingBytes)} left`,
          ...(expectedDowntimeMs === undefined ? [] : [`expected pause ${formatDuration(expectedDowntimeMs)}`]),
        ].join(' · '),
      ];
    }
  }
}
