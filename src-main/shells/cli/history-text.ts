// SPDX-License-Identifier: Apache-2.0
/** Recorded runs for a reader. Pure. */
import { plainText } from '../../../src-shared/plain-text.ts';
import type { FigurePair, FigureUnit, RunComparison } from '../../../src-shared/run-comparison.ts';
import type { RecordedRun, RunEvent, RunStep, RunSummary } from '../../../src-shared/run.ts';
import { formatBytes } from '../../../src-shared/sizes.ts';
import { formatCount, formatDuration, paint } from './style.ts';
import { tableLines } from './text-table.ts';
import type { Column } from './text-table.ts';

/** As much of an id as a list shows; `show` and `compare` take it. */
const SHORT_ID = 8;
const LABEL_LENGTH = 30;
const NONE = '–';

const left = (title: string): Column => ({ title, align: 'left' });
const right = (title: string): Column => ({ title, align: 'right' });

const LIST_COLUMNS = [
  ...['run', 'started', 'outcome', 'guest', 'to'].map(left),
  ...['memory', 'total', 'downtime', 'moved', 'passes'].map(right),
];

/** One line a run. `filtered`: only some were asked for. */
export function listText(runs: readonly RunSummary[], total: number, filtered: boolean): string {
  if (runs.length === 0)
    return filtered ? 'No run is like that.\n' : 'No runs are recorded yet: godwit demo makes one.\n';
  const rows = runs.map((run) => [
    shortId(run),
    localTime(run.startedAt),
    run.outcome,
    plainText(run.machineName, LABEL_LENGTH),
    plainText(run.destinationLabel, LABEL_LENGTH),
    formatBytes(run.memoryBytes),
    orNone(run.totalTimeMs, formatDuration),
    orNone(run.downtimeMs, formatDuration),
    orNone(run.transferredBytes, formatBytes),
    orNone(run.passes, formatCount),
  ]);
  const more = total > runs.length ? ['', `${formatCount(runs.length)} of ${formatCount(total)} runs`] : [];
  return lines([...tableLines(LIST_COLUMNS, rows), ...more]);
}

/** All of one run. */
export function runText(run: RecordedRun, samples: number, events: readonly RunEvent[], color: boolean): string {
  const facts: readonly (readonly [string, string])[] = [
    ['outcome', run.outcome],
    ['what happened', plainText(run.phase, 1000)],
    ['where', plainText(run.where.sentence, 1000)],
    ['started', localTime(run.startedAt)],
    ['ended', run.endedAt === null ? NONE : localTime(run.endedAt)],
    ['by', run.origin === 'app' ? 'the app' : `godwit ${run.origin}`],
    ['from', plainText(run.sourceLabel)],
    ['to', plainText(run.destinationLabel)],
    ['address', `${plainText(run.uri)}${run.encrypted ? ', encrypted' : ''}`],
    ['guest', `${formatBytes(run.memoryBytes)}, ${String(run.cpus)} vCPU${run.cpus === 1 ? '' : 's'}`],
    ['profile', plainText(run.profileName)],
    ['settings', settingsText(run)],
    ['total time', orNone(run.totalTimeMs, formatDuration)],
    ['downtime', `${orNone(run.downtimeMs, formatDuration)} (measured by the source)`],
    ['longest pause', `${orNone(run.guestPauseMs, formatDuration)} (seen by the guest)`],
    ['moved', orNone(run.transferredBytes, formatBytes)],
    ['passes', orNone(run.passes, formatCount)],
    ['samples', formatCount(samples)],
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  return lines([
    paint(`${plainText(run.machineName)}, run ${run.id}`, 'bold', color),
    ...facts.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
    '',
    ...tableLines([left('step'), left('state'), right('from'), right('to')], run.steps.map(stepCells)),
    '',
    ...tableLines([right('at'), left('end'), left('event'), left('')], events.map(eventCells)),
  ]);
}

/** Settings that differ, then figures. */
export function comparisonText(a: RecordedRun, b: RecordedRun, comparison: RunComparison, color: boolean): string {
  const name = (letter: string, run: RecordedRun): string =>
    `${letter}  ${shortId(run)}  ${localTime(run.startedAt)}  ${plainText(run.machineName, LABEL_LENGTH)}, ${run.outcome}`;
  const { settings, figures } = comparison;
  const differences =
    settings.length === 0
      ? ['Both runs had the same settings.']
      : tableLines(
          [left('setting'), right('A'), right('B')],
          settings.map((row) => [plainText(row.name), settingText(row.name, row.a), settingText(row.name, row.b)]),
        );
  return lines([
    paint(name('A', a), 'bold', color),
    paint(name('B', b), 'bold', color),
    '',
    ...differences,
    '',
    ...tableLines([left('figure'), right('A'), right('B'), right('change'), left('')], figures.map(figureCells)),
  ]);
}

function figureCells(figure: FigurePair): string[] {
  const show = (value: number): string => inUnit(value, figure.unit);
  const { change, changePercent, notComparable } = figure;
  const signed = change === null ? '' : `${change < 0 ? '−' : '+'}${show(Math.abs(change))}`;
  const percent =
    changePercent === null ? '' : `${changePercent < 0 ? '−' : '+'}${Math.abs(changePercent).toFixed(1)} %`;
  const note = notComparable === null ? percent : `not comparable: ${notComparable}`;
  return [figure.name, orNone(figure.a, show), orNone(figure.b, show), signed, note];
}

function inUnit(value: number, unit: FigureUnit): string {
  switch (unit) {
    case 'ms':
      return formatDuration(value);
    case 'bytes':
      return formatBytes(value);
    case 'bytes/s':
      return `${formatBytes(value)}/s`;
    case 'count':
      return formatCount(value);
  }
}

function stepCells(step: RunStep): string[] {
  const passes = step.passes === null ? '' : ` ${String(step.passes[0])} to ${String(step.passes[1])}`;
  return [`${step.id}${passes}`, step.state, orNone(step.startMs, formatDuration), orNone(step.endMs, formatDuration)];
}

function eventCells(event: RunEvent): string[] {
  return [formatDuration(event.t), event.side, plainText(event.name), plainText(event.text)];
}

function settingsText({ settings }: RecordedRun): string {
  const capabilities = Object.entries(settings.capabilities).map(
    ([name, on]) => `${name} ${on === true ? 'on' : 'off'}`,
  );
  const parameters = Object.entries(settings.parameters).map(([name, value]) => `${name}=${String(value)}`);
  return plainText([...capabilities, ...parameters].join(', '), 1000) || "QEMU's defaults";
}

function settingText(name: string, value: number | boolean | string | null): string {
  if (value === null) return 'default';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'string') return plainText(value, LABEL_LENGTH);
  return name === 'memory' ? formatBytes(value) : formatCount(value);
}

/** `2026-01-02 03:04:05`, in the time zone of the reader. */
function localTime(iso: string): string {
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? plainText(iso, 40) : time.toLocaleString('sv-SE');
}

const shortId = ({ id }: RunSummary): string => id.slice(0, SHORT_ID);
const lines = (all: readonly string[]): string => `${all.map((line) => line.trimEnd()).join('\n')}\n`;

function orNone(value: number | null, format: (value: number) => string): string {
  return value === null ? NONE : format(value);
}
