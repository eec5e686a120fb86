// SPDX-License-Identifier: Apache-2.0
/** Opens the file, whatever state it is in. Nothing that is in it is ever overwritten or deleted. */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { APPLICATION_ID, migrateSchema, SCHEMA_STEPS, schemaVersion } from './schema.ts';
import { sqliteMeaning, storeErrorOf, storeSentence } from './sqlite-failure.ts';
import { StoreError } from './store-error.ts';

/** Largest file, in bytes, that is taken into memory where it can only be read. SQLite allows 1 GiB there. */
const MAX_COPY_BYTES = 512 * 1024 ** 2;
const MAX_IDLE_LOG_BYTES = 16 * 1024 ** 2;
/** One, another that set the damaged file aside, and a third where two did so at once. */
const MAX_ATTEMPTS = 3;
/** Renaming three files takes another process no longer. */
const SET_ASIDE_PATIENCE_MS = 5000;
/** Offset of the file's two format numbers; 2 stands for a write-ahead log, 1 for none (sqlite.org/fileformat2.html). */
const FORMAT_NUMBERS = 18;

export interface OpenedDatabase {
  readonly db: Database.Database;
  /** Where rows go: to the file, or no further than this process. */
  readonly kept: 'file' | 'memory';
  /** Why they go no further, or why the file cannot be written just now; null when all is well. */
  readonly problem: string | null;
  readonly notices: readonly string[];
}

export interface OpenOptions {
  readonly path: string;
  readonly whenUnusable: 'memory' | 'throw';
  /** Milliseconds. */
  readonly busyTimeoutMs: number;
}

/** Rejects with a StoreError only where `whenUnusable` says so. */
export function openDatabase(options: OpenOptions): OpenedDatabase {
  const { path } = options;
  const notices: string[] = [];
  for (let attempt = 1; ; attempt += 1) {
    const file = fileNumber(path);
    try {
      return { ...openFile(options), kept: 'file', notices };
    } catch (error) {
      const failure = classify(error, path);
      // Another process may have set it aside meanwhile, under our hands: what is there now is not what failed.
      if (attempt < MAX_ATTEMPTS && file !== fileNumber(path)) continue;
      if (failure.code === 'CORRUPT' && attempt < MAX_ATTEMPTS) {
        const moved = setAsideOnce(path, file);
        if (moved === 'not possible') return openMemory(options, failure, notices);
        if (moved !== 'gone already') notices.push(moved.notice);
        continue;
      }
      if (failure.code === 'READ_ONLY' || failure.code === 'FULL') {
        const readable = openReadable(path);
        if (readable !== null) return { db: readable, kept: 'memory', problem: failure.message, notices };
      }
      return openMemory(options, failure, notices);
    }
  }
}

function openFile({ path, busyTimeoutMs }: OpenOptions): Pick<OpenedDatabase, 'db' | 'problem'> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const db = new Database(path, { timeout: busyTimeoutMs });
  try {
    // One transaction: another process may be making the tables of a new file just now.
    db.transaction(() => checkItIsOurs(db, path)).deferred();
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = NORMAL');
    db.pragma('foreign_keys = ON');
    // A log that once grew large (a reader kept it) gives its room back.
    db.pragma(`journal_size_limit = ${String(MAX_IDLE_LOG_BYTES)}`);
    const found = db.pragma('quick_check(1)', { simple: true });
    if (found !== 'ok') throw new StoreError('CORRUPT', storeSentence('CORRUPT', path, ` (${String(found)})`));
    migrateSchema(db);
    return { db, problem: probeWriting(db, path) };
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Says whether it can be written, before anybody relies on it. A lock of another writer may go away: only a problem. */
function probeWriting(db: Database.Database, path: string): string | null {
  try {
    db.transaction(() => undefined).immediate();
    return null;
  } catch (error) {
    if (sqliteMeaning(error) !== 'LOCKED') throw error;
    return storeSentence('LOCKED', path);
  }
}

function checkItIsOurs(db: Database.Database, path: string): void {
  const version = schemaVersion(db);
  const application = db.pragma('application_id', { simple: true });
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() as number;
  if (tables > 0 && application !== APPLICATION_ID) {
    const detail = ': it is a database of another program; set GODWIT_HOME to another folder';
    throw new StoreError('FAILED', storeSentence('FAILED', path, detail));
  }
  if (version > SCHEMA_STEPS.length) {
    const detail = ` (its version is ${String(version)}, this Godwit knows ${String(SCHEMA_STEPS.length)})`;
    throw new StoreError('NEWER', storeSentence('NEWER', path, detail));
  }
}

/** SQLite says CANTOPEN, too, where it may not write beside the file. */
function classify(error: unknown, path: string): StoreError {
  const meaning = sqliteMeaning(error);
  if (!(error instanceof StoreError) && meaning === 'FAILED' && !isWritable(path)) {
    return new StoreError('READ_ONLY', storeSentence('READ_ONLY', path), { cause: error });
  }
  return storeErrorOf(error, path);
}

function isWritable(path: string): boolean {
  try {
    if (existsSync(path)) accessSync(path, constants.W_OK);
    accessSync(dirname(path), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Inode of the file; null where there is none. */
function fileNumber(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? null;
}

/**
 * Of several processes that find the same file damaged, one sets it aside: the others must not do so with the new file
 * that it then begins. SQLite's own lock on an empty file beside it is held meanwhile, and ends with its process.
 */
function setAsideOnce(path: string, damaged: number | null): SetAside {
  let guard: Database.Database;
  try {
    guard = new Database(`${path}.lock`, { timeout: SET_ASIDE_PATIENCE_MS });
  } catch {
    return 'not possible';
  }
  try {
    return guard.transaction(() => (fileNumber(path) === damaged ? setAside(path) : 'gone already')).exclusive();
  } catch {
    return 'not possible';
  } finally {
    guard.close();
  }
}

/** `notice`: what to tell. `gone already`: another process has done it. */
type SetAside = { readonly notice: string } | 'gone already' | 'not possible';

/** Gives a damaged file another name, its write-ahead log with it. */
function setAside(path: string): SetAside {
  const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  let target = `${path}.damaged-${stamp}`;
  for (let n = 2; existsSync(target); n += 1) target = `${path}.damaged-${stamp}-${String(n)}`;
  try {
    if (!statSync(path).isFile()) return 'not possible';
    // The log first: once the file itself has gone, another process may begin a new one with a log of its own.
    for (const suffix of ['-wal', '-shm', '']) {
      if (existsSync(path + suffix)) renameSync(path + suffix, target + suffix);
    }
  } catch {
    return 'not possible';
  }
  return { notice: `the history in ${path} was damaged: it is kept as ${target}, and a new one was begun` };
}

/** A copy in memory of what is in the file; null where it cannot be read, or has no tables of this version. */
function openReadable(path: string): Database.Database | null {
  try {
    const image = readImage(path);
    if (image === null) return null;
    // A database in memory has no log beside it.
    image.fill(1, FORMAT_NUMBERS, FORMAT_NUMBERS + 2);
    const db = new Database(image);
    if (schemaVersion(db) === SCHEMA_STEPS.length) return db;
    db.close();
  } catch {
    // Unreadable: the reason why it cannot be written is told all the same.
  }
  return null;
}

function readImage(path: string): Buffer | null {
  if (statSync(path).size > MAX_COPY_BYTES) return null;
  let db: Database.Database;
  try {
    db = new Database(path, { readonly: true });
  } catch {
    return readFileSync(path);
  }
  try {
    return db.serialize();
  } catch {
    // Even to read, SQLite needs a file beside one with a log; where none can be made, there is no writer either.
    return readFileSync(path);
  } finally {
    db.close();
  }
}

function openMemory(options: OpenOptions, failure: StoreError, notices: readonly string[]): OpenedDatabase {
  if (options.whenUnusable === 'throw') throw failure;
  const db = new Database(':memory:');
  migrateSchema(db);
  return { db, kept: 'memory', problem: failure.message, notices };
}
