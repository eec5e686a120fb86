// SPDX-License-Identifier: Apache-2.0
/** The tables, as numbered steps. A step that was released never changes; what comes later is a further step. */
import type { Database } from 'better-sqlite3';

/** `Gdwt`: tells Godwit's file from any other database (PRAGMA application_id). */
export const APPLICATION_ID = 0x47647774;

/** Step n, counted from 1, leads from version n - 1 to n. The version is kept in PRAGMA user_version. */
export const SCHEMA_STEPS: readonly string[] = [
  `
  CREATE TABLE machines (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    settings TEXT NOT NULL,       -- JSON: MachineSettings
    receiver INTEGER NOT NULL,
    process TEXT,                 -- JSON: MachineProcessFacts
    last_words TEXT,
    created_at TEXT NOT NULL,     -- times of day: ISO 8601, UTC
    deleted_at TEXT
  ) STRICT;

  CREATE TABLE runs (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    machine_id TEXT,              -- no foreign key: a run outlives its machine
    machine_name TEXT NOT NULL,
    source_label TEXT NOT NULL,
    destination_label TEXT NOT NULL,
    profile_name TEXT NOT NULL,
    origin TEXT NOT NULL,
    outcome TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    memory_bytes INTEGER NOT NULL,
    total_time_ms REAL,
    downtime_ms REAL,
    transferred_bytes INTEGER,
    passes INTEGER,
    error TEXT,
    detail TEXT NOT NULL,         -- JSON: the rest of RecordedRun
    owner TEXT                    -- JSON: ProcessIdentity; NULL once the run is over
  ) STRICT;
  CREATE INDEX runs_by_start ON runs (started_at DESC, key DESC);
  CREATE INDEX runs_by_machine ON runs (machine_id, started_at DESC);
  CREATE INDEX runs_owned ON runs (key) WHERE owner IS NOT NULL;

  CREATE TABLE samples (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    position INTEGER NOT NULL,    -- counts from 0 within the run
    t REAL NOT NULL,
    status TEXT NOT NULL,
    destination_status TEXT,
    pass INTEGER NOT NULL,
    transferred_bytes NUMERIC NOT NULL,
    remaining_bytes NUMERIC NOT NULL,
    total_bytes NUMERIC NOT NULL,
    throughput NUMERIC NOT NULL,
    dirty_rate NUMERIC,
    expected_downtime_ms NUMERIC,
    downtime_limit_ms NUMERIC NOT NULL,
    threshold_bytes NUMERIC,
    max_bandwidth NUMERIC NOT NULL,
    throttle_percent NUMERIC,
    normal_pages NUMERIC NOT NULL,
    zero_pages NUMERIC NOT NULL,
    PRIMARY KEY (run, position)
  ) WITHOUT ROWID;

  CREATE TABLE events (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    t REAL NOT NULL,
    side TEXT NOT NULL,
    level TEXT NOT NULL,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, seq)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE profiles (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    profile TEXT NOT NULL         -- JSON: Profile
  ) STRICT;

  CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL           -- JSON
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE machines ADD COLUMN saved_to TEXT;   -- the file that has its guest, or is to have it
  `,
];

export function schemaVersion(db: Database): number {
  return db.pragma('user_version', { simple: true }) as number;
}

/**
 * Brings the tables up to the last step, all in one exclusive transaction: a crash leaves the version that was there, and
 * of two processes at once one does it and the other finds it done.
 */
export function migrateSchema(db: Database, steps: readonly string[] = SCHEMA_STEPS): void {
  if (schemaVersion(db) === steps.length) return;
  db.transaction(() => {
    for (let version = schemaVersion(db); version < steps.length; version += 1) db.exec(steps[version] ?? '');
    db.pragma(`application_id = ${String(APPLICATION_ID)}`);
    db.pragma(`user_version = ${String(steps.length)}`);
  }).exclusive();
}
