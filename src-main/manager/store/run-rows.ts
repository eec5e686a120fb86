// SPDX-License-Identifier: Apache-2.0
/** Samples and events of runs: many small rows, written in batches and read in ranges. */
import { z } from 'zod';
import { runEvent, runSample } from '../../../src-shared/run.ts';
import type { RunEvent, RunSample } from '../../../src-shared/run.ts';
import type { Sync } from './protocol.ts';
import { insertInto, notFound } from './statements.ts';
import type { Row, Statements } from './statements.ts';
import type { Store } from './store.ts';

type RowOperations = Sync<
  Pick<Store, 'appendSamples' | 'readSamples' | 'countSamples' | 'appendEvents' | 'readEvents' | 'countEvents'>
>;

const SAMPLE_COLUMNS: Readonly<Record<keyof RunSample, string>> = {
  t: 't',
  status: 'status',
  destinationStatus: 'destination_status',
  pass: 'pass',
  transferredBytes: 'transferred_bytes',
  remainingBytes: 'remaining_bytes',
  totalBytes: 'total_bytes',
  throughput: 'throughput',
  dirtyRate: 'dirty_rate',
  expectedDowntimeMs: 'expected_downtime_ms',
  downtimeLimitMs: 'downtime_limit_ms',
  thresholdBytes: 'threshold_bytes',
  maxBandwidth: 'max_bandwidth',
  throttlePercent: 'throttle_percent',
  normalPages: 'normal_pages',
  zeroPages: 'zero_pages',
};
const EVENT_COLUMNS: Readonly<Record<keyof RunEvent, string>> = {
  seq: 'seq',
  t: 't',
  side: 'side',
  level: 'level',
  name: 'name',
  text: 'text',
};
const SAMPLE_KEYS = Object.keys(SAMPLE_COLUMNS) as (keyof RunSample)[];
const EVENT_KEYS = Object.keys(EVENT_COLUMNS) as (keyof RunEvent)[];
const INSERT_SAMPLE = insertInto('samples', ['run', 'position', ...Object.values(SAMPLE_COLUMNS)]);
const INSERT_EVENT = insertInto('events', ['run', ...Object.values(EVENT_COLUMNS)], 'INSERT OR IGNORE');
const SELECT_SAMPLES = select('samples', SAMPLE_COLUMNS);
const SELECT_EVENTS = select('events', EVENT_COLUMNS);

export function rowOperations(statements: Statements): RowOperations {
  const keyOf = (id: string): number => {
    const row = statements.get('SELECT key FROM runs WHERE id = ?', id);
    if (row === undefined) throw notFound('run', id);
    return Number(row['key']);
  };
  const countSamples = (key: number): number =>
    statements.count('SELECT coalesce(max(position) + 1, 0) FROM samples WHERE run = ?', key);
  const countEvents = (key: number): number => statements.count('SELECT count(*) FROM events WHERE run = ?', key);
  return {
    appendSamples: (runId, samples) => {
      const valid = z.array(runSample).parse(samples);
      return statements.write(() => {
        const key = keyOf(runId);
        let position = countSamples(key);
        for (const sample of valid) {
          statements.run(INSERT_SAMPLE, key, position, ...SAMPLE_KEYS.map((name) => sample[name]));
          position += 1;
        }
        return position;
      });
    },
    readSamples: (runId, { from, limit }) =>
      statements
        .all(`${SELECT_SAMPLES} WHERE run = ? AND position >= ? ORDER BY position LIMIT ?`, keyOf(runId), from, limit)
        .map((row) => pick<RunSample>(row, SAMPLE_KEYS)),
    countSamples: (runId) => countSamples(keyOf(runId)),
    appendEvents: (runId, events) => {
      const valid = z.array(runEvent).parse(events);
      return statements.write(() => {
        const key = keyOf(runId);
        for (const event of valid) statements.run(INSERT_EVENT, key, ...EVENT_KEYS.map((name) => event[name]));
        return countEvents(key);
      });
    },
    readEvents: (runId, { from, limit }) =>
      statements
        .all(`${SELECT_EVENTS} WHERE run = ? ORDER BY seq LIMIT ? OFFSET ?`, keyOf(runId), limit, from)
        .map((row) => pick<RunEvent>(row, EVENT_KEYS)),
    countEvents: (runId) => countEvents(keyOf(runId)),
  };
}

function select(table: string, columns: Readonly<Record<string, string>>): string {
  const names = Object.entries(columns).map(([key, column]) => `${column} AS "${key}"`);
  return `SELECT ${names.join(', ')} FROM ${table}`;
}

/** Rows were checked when they were written; the columns bear the names of the type's members. */
function pick<T>(row: Row, keys: readonly (keyof T & string)[]): T {
  return Object.fromEntries(keys.map((key) => [key, row[key]])) as T;
}
