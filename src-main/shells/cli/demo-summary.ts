// SPDX-License-Identifier: Apache-2.0
/** What the demo says before and after. Pure. */
import { formatBytes } from '../../../src-shared/sizes.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import type { DemoOptions, DemoResult } from '../../manager/demo.ts';
import { formatCount, formatDuration, paint } from './style.ts';

/** What is about to happen. */
export function introduction(options: DemoOptions, color: boolean): string {
  const guest = [
    formatBytes(options.memoryBytes),
    `${String(options.cpus)} vCPU${options.cpus === 1 ? '' : 's'}`,
    `rewriting ${formatCount(options.dirtyRate)} pages/s over ${formatBytes(options.workingSetBytes)}`,
  ].join(', ');
  const over = options.uri === undefined ? 'a unix socket' : plainText(options.uri);
  return `${paint('godwit demo', 'bold', color)}: a live guest (${guest}) moves over ${over}\n\n`;
}

/** The report of a verified run. */
export function summary(result: DemoResult, options: DemoOptions, color: boolean): string {
  const { guest, source, destination, pids } = {
    ...result,
    source: result.source ?? {},
    destination: result.destination ?? {},
  };
  const ram = fields(source['ram']);
  const transferred = number(ram['transferred']);
  const totalMs = number(source['total-time']);
  const rows: readonly (readonly [string, string])[] = [
    ['total time', formatDuration(totalMs)],
    ['downtime', `${formatDuration(number(source['downtime']))} (measured by the source)`],
    ['longest pause', `${formatDuration(guest.longestPauseMs)} (seen by the guest)`],
    ['passes', formatCount(number(ram['dirty-sync-count']))],
    ['moved', `${formatBytes(transferred)} for ${formatBytes(options.memoryBytes)} of memory`],
    ['throughput', totalMs > 0 ? `${formatBytes((transferred * 1000) / totalMs)}/s` : 'too short to tell'],
    ['guest meanwhile', `${formatCount(guest.generationAtStop - guest.generationBefore)} generations`],
    [
      'guest since',
      `${formatCount(guest.generationAfter - guest.generationAtStop)} generations, ${plainText(String(destination['runstate']))}`,
    ],
  ];
  const verdict =
    `Continuity verified: no corruption, generations strictly continuing, ` +
    `${String(guest.sweepsAfter)} full sweeps after the move.`;
  return [
    paint(`Moved from process ${String(pids.source)} to ${String(pids.destination)}.`, 'bold', color),
    ...rows.map(([name, value]) => `  ${name.padEnd(16)}${value}`),
    paint(verdict, 'green', color),
    '',
  ].join('\n');
}

const fields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

const number = (value: unknown): number => (typeof value === 'number' ? value : 0);
