// SPDX-License-Identifier: Apache-2.0
/** What is kept of a migration between two foreign machines: how its record begins and ends. Pure. */
import { isMigrationStatus } from '../../../src-shared/migration/status.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import type { RecordedRun, RunOutcome, RunSample, Whereabouts } from '../../../src-shared/run.ts';
import { timeline, type Mark } from '../migrations/timeline.ts';
import type { RunChange } from '../store/types.ts';
import type { EndRecord, PairPlan } from './types.ts';

export interface RecordBeginning {
  readonly id: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly name: string;
  readonly labels: { readonly source: string; readonly destination: string };
  readonly memoryBytes: number;
  readonly uri: string;
}

export function pairRun(
  plan: PairPlan,
  { id, startedAt, name, labels, memoryBytes, uri }: RecordBeginning,
): RecordedRun {
  const phase = `${name} moves.`;
  const end = { pid: null, answers: true, runState: null, status: null, contactAgeMs: null, sentence: null };
  return {
    id,
    machineId: null,
    machineName: name,
    sourceLabel: labels.source,
    destinationLabel: labels.destination,
    profileName: plan.profileName,
    origin: 'migrate',
    outcome: 'active',
    startedAt,
    endedAt: null,
    memoryBytes,
    totalTimeMs: null,
    downtimeMs: null,
    transferredBytes: null,
    passes: null,
    error: null,
    status: 'setup',
    phase,
    settings: plan.settings,
    destination: uri.startsWith('file:') ? { kind: 'file', path: uri.slice('file:'.length) } : { kind: 'new-process' },
    uri,
    encrypted: false,
    cpus: 0,
    steps: timeline([{ id: 'setup', t: 0, bytes: 0 }], null),
    where: { guest: 'source', runs: true, sentence: phase, source: end, destination: end },
    elapsedMs: 0,
    guestPauseMs: null,
  };
}

export interface RecordEnding {
  readonly outcome: Exclude<RunOutcome, 'active' | 'interrupted'>;
  readonly error: string | null;
  readonly where: Whereabouts;
  readonly source: EndRecord;
  readonly last: RunSample | null;
  readonly marks: readonly Mark[];
  readonly elapsedMs: number;
  /** ISO 8601. */
  readonly endedAt: string;
}

export function pairEnding(end: RecordEnding): RunChange & Pick<RecordedRun, 'outcome' | 'endedAt' | 'phase'> {
  const { outcome, error, where, last, elapsedMs, endedAt } = end;
  const source = end.source ?? {};
  const ram = (source['ram'] ?? {}) as Readonly<Record<string, unknown>>;
  const transferredBytes = numberOf(ram['transferred']) ?? last?.transferredBytes ?? null;
  const status = source['status'];
  return {
    outcome,
    endedAt,
    error,
    phase: plainText(error ?? where.sentence, 1000),
    status: typeof status === 'string' && isMigrationStatus(status) ? status : (last?.status ?? 'none'),
    totalTimeMs: numberOf(source['total-time']),
    downtimeMs: numberOf(source['downtime']),
    transferredBytes,
    passes: numberOf(ram['dirty-sync-count']) ?? last?.pass ?? null,
    steps: timeline(end.marks, { t: elapsedMs, bytes: transferredBytes ?? 0, completed: outcome === 'completed' }),
    where,
    elapsedMs,
  };
}

const numberOf = (value: unknown): number | null => (typeof value === 'number' && value >= 0 ? value : null);
