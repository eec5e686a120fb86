// SPDX-License-Identifier: Apache-2.0
/** What is kept of a demo: how its record begins and ends. Pure. */
import { plainText } from '../../../src-shared/plain-text.ts';
import { isMigrationStatus } from '../../../src-shared/migration/status.ts';
import type { MigrationStatus } from '../../../src-shared/migration/status.ts';
import type { EndFacts, RecordedRun, RunSample, RunStep, Whereabouts } from '../../../src-shared/run.ts';
import type { RunChange } from '../store/types.ts';
import type { DemoFailureCode, DemoOptions, DemoResult, Side } from './types.ts';

/** Longest text of the record; what is longer is cut. */
const SENTENCE_LENGTH = 1000;

export interface DemoFailure {
  readonly code: DemoFailureCode;
  readonly message: string;
}

/** `query-migrate` of each end with its run state, as last heard; null where it could not be asked any more. */
export type EndRecords = Pick<DemoResult, Side>;

export interface DemoEnd {
  readonly ends: EndRecords;
  /** What the guest itself saw; null where it was not measured to the end. */
  readonly guestPauseMs: number | null;
  /** Absent: verified. */
  readonly failure: DemoFailure | undefined;
  readonly pids: Readonly<Record<Side, number>>;
  /** Since the run began. */
  readonly elapsedMs: number;
  readonly last: RunSample | null;
  /** ISO 8601. */
  readonly endedAt: string;
}

/** The record as it begins. */
export function demoRun(
  id: string,
  startedAt: string,
  options: DemoOptions,
  beginning: { readonly uri: string; readonly pids: Readonly<Record<Side, number>> },
): RecordedRun {
  const { source, destination } = beginning.pids;
  const phase = 'The guest moves from one process to the other.';
  return {
    id,
    machineId: null,
    machineName: 'demo guest',
    sourceLabel: `process ${String(source)}`,
    destinationLabel: `process ${String(destination)}`,
    profileName: 'Demo',
    origin: 'demo',
    outcome: 'active',
    startedAt,
    endedAt: null,
    memoryBytes: options.memoryBytes,
    totalTimeMs: null,
    downtimeMs: null,
    transferredBytes: null,
    passes: null,
    error: null,
    status: 'setup',
    phase,
    settings: { capabilities: { events: true, 'return-path': true }, parameters: { 'max-bandwidth': 0 } },
    destination: { kind: 'new-process' },
    uri: beginning.uri,
    encrypted: false,
    cpus: options.cpus,
    steps: [{ id: 'setup', passes: null, state: 'active', startMs: 0, endMs: null, bytes: null, note: null }],
    where: {
      guest: 'source',
      runs: true,
      sentence: `${phase} It runs on the source.`,
      source: endFacts(source, null),
      destination: endFacts(destination, null),
    },
    elapsedMs: 0,
    guestPauseMs: null,
  };
}

/** The last change to it. */
export function demoEnding(end: DemoEnd): RunChange & Pick<RecordedRun, 'outcome' | 'endedAt' | 'phase'> {
  const { failure, last } = end;
  const source = end.ends.source ?? {};
  const status = statusOf(source) ?? last?.status ?? 'none';
  const phase = plainText(failure?.message ?? 'Moved, and the guest has checked itself.', SENTENCE_LENGTH);
  const figures = figuresOf(source, last);
  return {
    outcome: outcomeOf(failure),
    endedAt: end.endedAt,
    error: failure === undefined ? null : phase,
    phase,
    status,
    ...figures,
    steps: stepsOf(end, source, figures),
    where: whereOf(end, phase),
    elapsedMs: end.elapsedMs,
    guestPauseMs: end.guestPauseMs,
  };
}

type Figures = Pick<RecordedRun, 'totalTimeMs' | 'downtimeMs' | 'transferredBytes' | 'passes'>;

/** The source's own figures, or what the last sample had where it could not be asked any more. */
function figuresOf(source: Readonly<Record<string, unknown>>, last: RunSample | null): Figures {
  const ram = (source['ram'] ?? {}) as Readonly<Record<string, unknown>>;
  return {
    totalTimeMs: numberOf(source['total-time']),
    downtimeMs: numberOf(source['downtime']),
    transferredBytes: numberOf(ram['transferred']) ?? last?.transferredBytes ?? null,
    passes: numberOf(ram['dirty-sync-count']) ?? last?.pass ?? null,
  };
}

function outcomeOf(failure: DemoFailure | undefined): 'completed' | 'failed' | 'cancelled' {
  if (failure === undefined) return 'completed';
  return failure.code === 'CANCELLED' ? 'cancelled' : 'failed';
}

function stepsOf(end: DemoEnd, source: Readonly<Record<string, unknown>>, figures: Figures): RunStep[] {
  const { totalTimeMs, downtimeMs, transferredBytes } = figures;
  const passes: [number, number] | null = (figures.passes ?? 0) > 0 ? [1, figures.passes ?? 1] : null;
  const row = (id: RunStep['id'], state: RunStep['state'], startMs: number | null, endMs: number | null): RunStep => ({
    id,
    passes: id === 'pass' ? passes : null,
    state,
    startMs,
    endMs,
    bytes: id === 'pass' ? transferredBytes : null,
    note: null,
  });
  if (totalTimeMs === null || downtimeMs === null) {
    // It ended on the way: in setup before there was a pass, else while memory moved.
    const inSetup = passes === null;
    return [
      row('setup', inSetup ? 'failed' : 'done', 0, inSetup ? end.elapsedMs : null),
      row('pass', inSetup ? 'skipped' : 'failed', null, inSetup ? null : end.elapsedMs),
      row('switchover', 'skipped', null, null),
      row('verify', 'skipped', null, null),
    ];
  }
  const setupEnd = numberOf(source['setup-time']) ?? 0;
  const stop = Math.max(setupEnd, totalTimeMs - downtimeMs);
  return [
    row('setup', 'done', 0, setupEnd),
    row('pass', 'done', setupEnd, stop),
    row('switchover', 'done', stop, totalTimeMs),
    row('verify', end.failure === undefined ? 'done' : 'failed', totalTimeMs, end.elapsedMs),
  ];
}

/** As the ends last said themselves; the demo's own sentence where it failed names the place. */
function whereOf({ ends: { source, destination }, failure, pids }: DemoEnd, phase: string): Whereabouts {
  const facts = { source: endFacts(pids.source, source), destination: endFacts(pids.destination, destination) };
  if (failure === undefined) {
    const sentence = `The guest moved and ran on in process ${String(pids.destination)}. The demo has ended both processes.`;
    return { guest: 'destination', runs: true, sentence, ...facts };
  }
  const sentence = `${phase}. The demo has ended both processes.`.replace('..', '.');
  if (destination?.['runstate'] === 'running') return { guest: 'destination', runs: true, sentence, ...facts };
  if (source?.['runstate'] === 'running') return { guest: 'source', runs: true, sentence, ...facts };
  return { guest: 'unknown', runs: false, sentence, ...facts };
}

function endFacts(pid: number, record: Readonly<Record<string, unknown>> | null): EndFacts {
  return {
    pid,
    answers: record !== null,
    runState: record === null ? null : plainText(String(record['runstate']), 40),
    status: statusOf(record ?? {}) ?? null,
    contactAgeMs: null,
    sentence: null,
  };
}

function statusOf({ status }: Readonly<Record<string, unknown>>): MigrationStatus | undefined {
  return typeof status === 'string' && isMigrationStatus(status) ? status : undefined;
}

const numberOf = (value: unknown): number | null => (typeof value === 'number' && value >= 0 ? value : null);
