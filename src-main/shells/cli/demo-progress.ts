// SPDX-License-Identifier: Apache-2.0
/** What the demo's progress looks like. Pure: facts in, lines out, none wider than the terminal. */
import { formatBytes } from '../../../src-shared/sizes.ts';
import type { DemoProgress } from '../../manager/demo.ts';
import { meter, phaseOf } from './migration-lines.ts';
import { cutLines, type ProgressStyle } from './progress-display.ts';
import { formatCount, formatDuration } from './style.ts';

/** One to three lines. */
export function progressLines(progress: DemoProgress, style: ProgressStyle): string[] {
  return cutLines(plainLines(progress, style.bars), style);
}

function plainLines(progress: DemoProgress, bars: boolean): string[] {
  switch (progress.phase) {
    case 'starting':
      return ['Starting two machine processes'];
    case 'warming-up':
      return [
        `The guest stamps its memory in process ${String(progress.pids.source)}`,
        `${formatDuration(progress.elapsedMs)} · generation ${formatCount(progress.generation)}`,
      ];
    case 'migrating':
      return migratingLines(progress, bars);
    case 'verifying':
      return [
        `Moved. Process ${String(progress.sourcePid)} is dead, and the guest checks itself`,
        [
          `sweep ${outOf(progress.sweeps, progress.sweepsNeeded)}`,
          `pass over all memory ${outOf(progress.staticPasses, progress.staticPassesNeeded)}`,
          guestRate(progress.generationRate),
        ].join(' · '),
      ];
    case 'cancelling':
      return ['Cancelling'];
  }
}

function migratingLines(progress: Extract<DemoProgress, { phase: 'migrating' }>, bars: boolean): string[] {
  const sample = progress.migration;
  if (sample === undefined) return ['Connecting', guestRate(progress.generationRate)];
  const pass = `pass ${String(Math.max(1, sample.pass))} · ${formatDuration(progress.elapsedMs)}`;
  return [
    `${phaseOf(sample)} · ${pass}`,
    meter(sample, bars),
    [
      `${formatBytes(sample.throughput)}/s`,
      ...(sample.dirtyBytesPerSecond > 0 ? [`guest dirties ${formatBytes(sample.dirtyBytesPerSecond)}/s`] : []),
      `${formatBytes(sample.remainingBytes)} left`,
      guestRate(progress.generationRate),
    ].join(' · '),
  ];
}

/** What goes beyond the need is not told: it only waits for the other check. */
const outOf = (done: number, needed: number): string => `${String(Math.min(done, needed))} of ${String(needed)}`;

const guestRate = (rate: number): string => `guest ${formatCount(rate)} generations/s`;
