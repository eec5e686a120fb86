// SPDX-License-Identifier: Apache-2.0
/** What the demo's progress looks like. Pure: facts in, lines out, none wider than the terminal. */
import { formatBytes } from '../../../src-shared/sizes.ts';
import type { DemoProgress } from '../../manager/demo.ts';
import { distanceToSwitchover, passOneProgress } from '../../manager/demo/migration-watch.ts';
import type { MigrationSample } from '../../manager/demo/types.ts';
import { bar, formatCount, formatDuration, paint } from './style.ts';

export interface ProgressStyle {
  /** Infinity where lines may have any length. */
  readonly columns: number;
  readonly color: boolean;
  /** Bars, where they can be redrawn. */
  readonly bars: boolean;
}

const BAR_CELLS = 24;
/** Where the distance meter ends: the first of these that holds the distance. */
const METER_ENDS = [2, 5, 10, 20, 50] as const;

/** One to three lines. */
export function progressLines(progress: DemoProgress, style: ProgressStyle): string[] {
  const [headline, ...details] = plainLines(progress, style.bars).map((line) => cut(line, style.columns));
  return [paint(headline ?? '', 'bold', style.color), ...details.map((line) => paint(line, 'dim', style.color))];
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

/** The status of `query-migrate` in words. */
function phaseOf({ status }: MigrationSample): string {
  switch (status) {
    case 'setup':
      return 'Connecting';
    case 'active':
      return 'Copying memory, the guest runs';
    case 'device':
      return 'Switching over';
    case 'completed':
      return 'Completed';
    default:
      return `Migration: ${status.replace(/[^a-z-]/g, '')}`;
  }
}

/** A percentage in pass 1; later, where it would run backwards, the distance to switchover. */
function meter(sample: MigrationSample, bars: boolean): string {
  const barred = (part: number, words: string): string => (bars ? `${bar(part, BAR_CELLS)} ${words}` : words);
  const passOne = passOneProgress(sample);
  if (passOne !== undefined) return barred(passOne, `${(passOne * 100).toFixed(0)} %`);
  const distance = distanceToSwitchover(sample);
  if (distance === undefined) return barred(0, 'distance to switchover not known yet');
  const end = METER_ENDS.find((candidate) => distance <= candidate) ?? 50;
  const limit = `${String(sample.downtimeLimitMs)} ms`;
  if (distance <= 1) return barred(distance / end, `what is left fits into a pause of ${limit}`);
  return barred(distance / end, `distance to switchover: ${distance.toFixed(1)} × what fits into ${limit}`);
}

/** What goes beyond the need is not told: it only waits for the other check. */
const outOf = (done: number, needed: number): string => `${String(Math.min(done, needed))} of ${String(needed)}`;

const guestRate = (rate: number): string => `guest ${formatCount(rate)} generations/s`;

const cut = (line: string, columns: number): string =>
  line.length > columns ? `${line.slice(0, columns - 1)}…` : line;
