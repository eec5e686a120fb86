// SPDX-License-Identifier: Apache-2.0
import { recordedRun, runSummary } from '../../../src-shared/run.ts';
import type { RecordedRun, RunSummary } from '../../../src-shared/run.ts';
import { identityOf, isGone, startTicksOf } from './process-identity.ts';
import type { Sync } from './protocol.ts';
import { insertInto, notFound, parseJson } from './statements.ts';
import type { Row, Statements } from './statements.ts';
import type { Store } from './store.ts';
import { StoreError } from './store-error.ts';
import { processIdentity } from './types.ts';
import type { RunQuery } from './types.ts';

type RunOperations = Sync<
  Pick<
    Store,
    | 'beginRun'
    | 'updateRun'
    | 'finishRun'
    | 'getRun'
    | 'listRuns'
    | 'deleteRun'
    | 'deleteRunsEndedBefore'
    | 'interruptOrphanedRuns'
  >
>;

/** What lists and searches need has a column; the rest of a run is one JSON document. */
const SUMMARY_COLUMNS: readonly (readonly [keyof RunSummary, string])[] = [
  ['id', 'id'],
  ['machineId', 'machine_id'],
  ['machineName', 'machine_name'],
  ['sourceLabel', 'source_label'],
  ['destinationLabel', 'destination_label'],
  ['profileName', 'profile_name'],
  ['origin', 'origin'],
  ['outcome', 'outcome'],
  ['startedAt', 'started_at'],
  ['endedAt', 'ended_at'],
  ['memoryBytes', 'memory_bytes'],
  ['totalTimeMs', 'total_time_ms'],
  ['downtimeMs', 'downtime_ms'],
  ['transferredBytes', 'transferred_bytes'],
  ['passes', 'passes'],
  ['error', 'error'],
];
const COLUMN_NAMES = SUMMARY_COLUMNS.map(([, column]) => column);
const INSERT = insertInto('runs', [...COLUMN_NAMES, 'detail', 'owner']);
const UPDATE = `UPDATE runs SET ${[...COLUMN_NAMES, 'detail'].map((column) => `${column} = ?`).join(', ')} WHERE id = ?`;
const detailOf = recordedRun.omit(
  Object.fromEntries(SUMMARY_COLUMNS.map(([key]) => [key, true])) as Record<keyof RunSummary, true>,
);

export function runOperations(statements: Statements): RunOperations {
  const read = (id: string): RecordedRun => {
    const row = statements.get('SELECT * FROM runs WHERE id = ?', id);
    if (row === undefined) throw notFound('run', id);
    return runOf(row);
  };
  const update = (id: string, change: Partial<RecordedRun>): void => {
    const { id: _, origin, startedAt, ...before } = read(id);
    statements.run(UPDATE, ...valuesOf({ ...before, ...change, id, origin, startedAt }), id);
  };
  return {
    beginRun: (run, owner) => {
      const identity = owner ?? identityOf(process.pid);
      statements.run(INSERT, ...valuesOf(run), identity && JSON.stringify(processIdentity.parse(identity)));
    },
    updateRun: (id, change) => {
      statements.write(() => {
        update(id, change);
      });
    },
    finishRun: (id, change) => {
      if (change.outcome === 'active') throw new StoreError('INVALID', 'a run cannot end as active');
      statements.write(() => {
        update(id, change);
        statements.run('UPDATE runs SET owner = NULL WHERE id = ?', id);
      });
    },
    getRun: read,
    listRuns: (query) => listRuns(statements, query),
    deleteRun: (id) => {
      if (statements.run('DELETE FROM runs WHERE id = ?', id) === 0) throw notFound('run', id);
    },
    deleteRunsEndedBefore: (time) =>
      statements.run(
        "DELETE FROM runs WHERE outcome <> 'active' AND owner IS NULL AND coalesce(ended_at, started_at) < ?",
        time,
      ),
    interruptOrphanedRuns: () => {
      if (orphans(statements).length === 0) return []; // the ordinary case takes no lock
      return statements.write(() => {
        const ids = orphans(statements);
        for (const { id, pid } of ids) {
          update(id, interruption(read(id), pid));
          statements.run('UPDATE runs SET owner = NULL WHERE id = ?', id);
        }
        return ids.map(({ id }) => id);
      });
    },
  };
}

function listRuns(statements: Statements, query: RunQuery): { runs: RunSummary[]; total: number } {
  const conditions: string[] = [];
  const values: string[] = [];
  const add = (condition: string, ...more: string[]): void => {
    conditions.push(condition);
    values.push(...more);
  };
  if (query.outcome !== undefined) add('outcome = ?', query.outcome);
  if (query.machineId !== undefined) add('machine_id = ?', query.machineId);
  const search = (query.search ?? '').trim();
  if (search !== '') {
    const text = search.replaceAll(/[\\%_]/g, '\\$&');
    const fields = ['machine_name', 'source_label', 'destination_label', 'profile_name', 'error'];
    const matches = [...fields.map((field) => `${field} LIKE ? ESCAPE '\\'`), "id LIKE ? ESCAPE '\\'"];
    add(`(${matches.join(' OR ')})`, ...fields.map(() => `%${text}%`), `${text}%`);
  }
  const where = (all: readonly string[]): string => (all.length === 0 ? '' : `WHERE ${all.join(' AND ')}`);
  const total = statements.count(`SELECT count(*) FROM runs ${where(conditions)}`, ...values);
  if (query.before !== undefined) add('started_at < ?', query.before);
  const rows = statements.all(
    `SELECT ${COLUMN_NAMES.join(', ')} FROM runs ${where(conditions)} ORDER BY started_at DESC, key DESC LIMIT ?`,
    ...values,
    query.limit,
  );
  return { runs: rows.map((row) => runSummary.parse(summaryOf(row))), total };
}

function orphans(statements: Statements): { readonly id: string; readonly pid: number }[] {
  return statements.all('SELECT id, owner FROM runs WHERE owner IS NOT NULL').flatMap(({ id, owner }) => {
    const identity = processIdentity.parse(parseJson(owner));
    return isGone(identity) ? [{ id: String(id), pid: identity.pid }] : [];
  });
}

/** What is known of a run whose owner died: that it was under way, and nothing of the guest since. */
function interruption(run: RecordedRun, ownerPid: number): Partial<RecordedRun> {
  const { source, destination } = run.where;
  const what = `The process that drove this run (${String(ownerPid)}) ended before the run did.`;
  // Attached machines end with their app. A number that is in use again only leaves the question open.
  const isLost =
    run.destination.kind !== 'file' &&
    [source, destination].every(({ pid }) => pid !== null && startTicksOf(pid) === null);
  return {
    outcome: 'interrupted',
    error: what,
    phase: what,
    where: {
      guest: isLost ? 'nowhere' : 'unknown',
      runs: false,
      sentence: isLost
        ? `${what} Both of its machines have ended too, and ${run.machineName} with them.`
        : `${what} Where the guest is was not recorded. Ask both machines, if they still run.`,
      source: { ...source, answers: false },
      destination: { ...destination, answers: false },
    },
  };
}

function valuesOf(run: RecordedRun): (string | number | null)[] {
  const valid = recordedRun.parse(run);
  const detail = JSON.stringify(detailOf.parse(valid));
  return [...SUMMARY_COLUMNS.map(([key]) => valid[key]), detail];
}

function summaryOf(row: Row): Record<string, unknown> {
  return Object.fromEntries(SUMMARY_COLUMNS.map(([key, column]) => [key, row[column]]));
}

function runOf(row: Row): RecordedRun {
  return recordedRun.parse({ ...(parseJson(row['detail']) as object), ...summaryOf(row) });
}
