// SPDX-License-Identifier: Apache-2.0
/** The benchmark for a reader. Pure. */
import { formatBytes } from '../../../src-shared/sizes.ts';
import type { BenchProgress } from '../../manager/bench/runner.ts';
import type { Summary } from '../../manager/bench/statistics.ts';
import type { BenchHost, BenchResult, Comparison, RowResult } from '../../manager/bench/types.ts';
import { paint } from './style.ts';

/** `random-1G-tcp  round 3 of 9  QEMU 7.2.22  1.57 GB/s`, for stderr. */
export function progressLine({ row, round, subject, bytesPerSecond }: BenchProgress): string {
  const which = round === 0 ? 'warm-up' : `round ${String(round)} of ${String(row.pairs)}`;
  return `${row.id}  ${which}  ${subject}  ${speed(bytesPerSecond)}`;
}

/** Medians, with the range in which the middle half lies and the whole range. */
export function benchText(result: BenchResult, color: boolean): string {
  const notes = [
    "Speeds are RAM moved per second of the source's own total-time: median [lower to upper quartile] (lowest to highest).",
    'Ratios are medians over rounds, each of a pair measured side by side; above 1 Godwit is the better one.',
    ...(result.quick ? ['Quick: less memory and fewer rounds than a figure to quote needs.'] : []),
  ];
  return `${[...hostText(result.host), '', ...result.rows.flatMap((row) => [...rowText(row, color), '']), ...notes].join('\n')}\n`;
}

function hostText(host: BenchHost): string[] {
  return [
    `${host.cpu}, ${String(host.processors)} processors, ${formatBytes(host.memoryBytes)}, Linux ${host.kernel}`,
    `hypervisor under this box: ${host.hypervisor}; load average ${host.loadBefore.toFixed(1)} before, ${host.loadAfter.toFixed(1)} after`,
  ];
}

function rowText(row: RowResult, color: boolean): string[] {
  const title = `${formatBytes(row.memoryBytes)} of ${row.content} RAM over ${row.transport}, ${String(row.pairs)} rounds`;
  const contestants = row.contestants.flatMap(({ name, bytesPerSecond, cpuSeconds }) => [
    line(name, summary(bytesPerSecond, speed)),
    line(
      '',
      `${seconds(cpuSeconds.median)} of processor time (${seconds(cpuSeconds.min)} to ${seconds(cpuSeconds.max)})`,
    ),
  ]);
  const limits = row.limits.map(({ kind, meaning, bytesPerSecond, godwitShare }) =>
    line(
      `limit: ${kind}`,
      `${summary(bytesPerSecond, speed)}; Godwit reaches ${percent(godwitShare.median)} (${meaning})`,
    ),
  );
  return [
    paint(title, 'bold', color),
    ...contestants,
    ...row.comparisons.flatMap((comparison) => comparisonText(comparison, color)),
    ...limits,
  ];
}

function comparisonText({ peer, speed: ratio, wallSpeed, cpuEconomy }: Comparison, color: boolean): string[] {
  const verdict = paint(factor(ratio.median), ratio.median >= 1 ? 'green' : 'yellow', color);
  return [
    line(
      `Godwit : ${peer}`,
      `${verdict} as fast ${spread(ratio, factor)}, ${factor(wallSpeed.median)} seen from outside`,
    ),
    line('', `${factor(cpuEconomy.median)} as sparing of processor time ${spread(cpuEconomy, factor)}`),
  ];
}

const line = (name: string, text: string): string => `  ${name.padEnd(24)}${text}`;

const summary = (values: Summary, format: (value: number) => string): string =>
  `${format(values.median)} ${spread(values, format)}`;

const spread = ({ lowerQuartile, upperQuartile, min, max }: Summary, format: (value: number) => string): string =>
  `[${format(lowerQuartile)} to ${format(upperQuartile)}] (${format(min)} to ${format(max)})`;

const speed = (bytesPerSecond: number): string => `${(bytesPerSecond / 1e9).toFixed(2)} GB/s`;
const seconds = (value: number): string => `${value.toFixed(2)} s`;
const factor = (value: number): string => `${value.toFixed(2)}×`;
const percent = (part: number): string => `${(part * 100).toFixed(0)} %`;
