// SPDX-License-Identifier: Apache-2.0
/** Two runs side by side: first what was set differently, then what came of it. Pure. */
import { formatBytes } from './sizes.ts';
import type { RecordedRun } from './run.ts';

export interface SettingDifference {
  /** QEMU's name of a capability or parameter, or a word of Godwit's (`memory`, `cpus`, `transport`, …). */
  readonly name: string;
  /** Null: not set, so QEMU's default was in force. */
  readonly a: number | boolean | string | null;
  readonly b: number | boolean | string | null;
}

export type FigureUnit = 'ms' | 'bytes' | 'bytes/s' | 'count';

export interface FigurePair {
  readonly name: string;
  readonly unit: FigureUnit;
  readonly a: number | null;
  readonly b: number | null;
  /** b - a; null where they cannot be compared. */
  readonly change: number | null;
  /** Of a; null where they cannot be compared, or a is 0. */
  readonly changePercent: number | null;
  /** Why they cannot be compared; null where they can. */
  readonly notComparable: string | null;
}

export interface RunComparison {
  readonly settings: readonly SettingDifference[];
  readonly figures: readonly FigurePair[];
}

interface Figure {
  readonly name: string;
  readonly unit: FigureUnit;
  readonly of: (run: RecordedRun) => number | null;
  /** It grows with the guest's memory. */
  readonly scales: boolean;
}

const FIGURES: readonly Figure[] = [
  { name: 'total time', unit: 'ms', of: (run) => run.totalTimeMs, scales: true },
  { name: 'downtime', unit: 'ms', of: (run) => run.downtimeMs, scales: false },
  { name: 'longest pause of the guest', unit: 'ms', of: (run) => run.guestPauseMs, scales: false },
  { name: 'moved', unit: 'bytes', of: (run) => run.transferredBytes, scales: true },
  { name: 'throughput', unit: 'bytes/s', of: throughputOf, scales: false },
  { name: 'passes', unit: 'count', of: (run) => run.passes, scales: false },
];

export function compareRuns(a: RecordedRun, b: RecordedRun): RunComparison {
  return { settings: settingDifferences(a, b), figures: FIGURES.map((figure) => pair(figure, a, b)) };
}

function settingDifferences(a: RecordedRun, b: RecordedRun): SettingDifference[] {
  const [left, right] = [flatSettings(a), flatSettings(b)];
  const names = [...new Set([...left.keys(), ...right.keys()])];
  return names.flatMap((name) => {
    const [before, after] = [left.get(name) ?? null, right.get(name) ?? null];
    return before === after ? [] : [{ name, a: before, b: after }];
  });
}

function flatSettings(run: RecordedRun): Map<string, number | boolean | string> {
  const { capabilities, parameters } = run.settings;
  return new Map<string, number | boolean | string>([
    ['memory', run.memoryBytes],
    ['cpus', run.cpus],
    ['transport', run.uri.split(':')[0] ?? ''],
    ['encrypted', run.encrypted],
    ['destination', run.destination.kind],
    ['profile', run.profileName],
    ...(Object.entries(capabilities) as [string, boolean][]),
    ...(Object.entries(parameters) as [string, number | boolean | string][]),
  ]);
}

function pair({ name, unit, of, scales }: Figure, runA: RecordedRun, runB: RecordedRun): FigurePair {
  const [a, b] = [of(runA), of(runB)];
  const notComparable = reason(a, b, scales, runA, runB);
  if (notComparable !== null || a === null || b === null) {
    return { name, unit, a, b, change: null, changePercent: null, notComparable };
  }
  const change = b - a;
  return { name, unit, a, b, change, changePercent: a === 0 ? null : (change / a) * 100, notComparable: null };
}

function reason(
  a: number | null,
  b: number | null,
  scales: boolean,
  runA: RecordedRun,
  runB: RecordedRun,
): string | null {
  const unfinished = [runA, runB].findIndex(({ outcome }) => outcome !== 'completed');
  if (unfinished !== -1) {
    const { outcome } = unfinished === 0 ? runA : runB;
    return `${unfinished === 0 ? 'A' : 'B'} did not complete (${outcome})`;
  }
  if (a === null && b === null) return 'not measured';
  if (a === null || b === null) return `not measured in ${a === null ? 'A' : 'B'}`;
  if (scales && runA.memoryBytes !== runB.memoryBytes) {
    return `the guests differ in memory: ${formatBytes(runA.memoryBytes)} and ${formatBytes(runB.memoryBytes)}`;
  }
  return null;
}

function throughputOf({ transferredBytes, totalTimeMs }: RecordedRun): number | null {
  return transferredBytes === null || totalTimeMs === null || totalTimeMs === 0
    ? null
    : (transferredBytes * 1000) / totalTimeMs;
}
