// SPDX-License-Identifier: Apache-2.0
/** What SQLite's result codes mean to a user. */
import { z } from 'zod';
import { StoreError } from './store-error.ts';
import type { StoreErrorCode } from './store-error.ts';

/** By the beginning of the code: extended codes (SQLITE_IOERR_WRITE) follow their primary one. */
const MEANINGS: readonly (readonly [string, StoreErrorCode])[] = [
  ['SQLITE_BUSY', 'LOCKED'],
  ['SQLITE_LOCKED', 'LOCKED'],
  ['SQLITE_READONLY', 'READ_ONLY'],
  ['SQLITE_PERM', 'READ_ONLY'],
  ['SQLITE_AUTH', 'READ_ONLY'],
  ['SQLITE_CORRUPT', 'CORRUPT'],
  ['SQLITE_NOTADB', 'CORRUPT'],
  ['SQLITE_FULL', 'FULL'],
  // A shared-memory file that cannot grow: no room for the few pages beside the file.
  ['SQLITE_IOERR_SHMSIZE', 'FULL'],
  ['SQLITE_CONSTRAINT_UNIQUE', 'EXISTS'],
  ['SQLITE_CONSTRAINT_PRIMARYKEY', 'EXISTS'],
  ['SQLITE_CONSTRAINT_FOREIGNKEY', 'NOT_FOUND'],
];

/** A sentence for each failure of the file itself. */
export function storeSentence(code: StoreErrorCode, path: string, detail = ''): string {
  switch (code) {
    case 'LOCKED':
      return `the history in ${path} is locked by another program: close the program that uses it and try again`;
    case 'READ_ONLY':
      return `the history in ${path} cannot be written: nothing new is recorded until file and folder are writable`;
    case 'NEWER':
      return `the history in ${path} was written by a newer Godwit${detail}: update Godwit, or set GODWIT_HOME to another folder`;
    case 'CORRUPT':
      return `the history in ${path} is damaged${detail}: the next start of Godwit sets the file aside and begins a new one`;
    case 'FULL':
      return `no room to record in ${path}: what is there is kept; free some space on its disk`;
    case 'EXISTS':
      return 'an entry of that id or name is there already: choose another name';
    case 'NOT_FOUND':
      return 'there is no such entry';
    case 'INVALID':
      return `what was to be recorded is not valid${detail}`;
    case 'CLOSED':
      return 'the history is closed';
    case 'FAILED':
      return `the history in ${path} cannot be used${detail}`;
  }
}

/** Whatever an operation threw, as a StoreError. */
export function storeErrorOf(error: unknown, path: string): StoreError {
  if (error instanceof StoreError) return error;
  if (error instanceof z.ZodError) {
    return new StoreError('INVALID', storeSentence('INVALID', path, `: ${z.prettifyError(error)}`), { cause: error });
  }
  const code = sqliteMeaning(error);
  const message = error instanceof Error ? error.message : String(error);
  const detail = code === 'FAILED' || code === 'CORRUPT' ? ` (${message})` : '';
  return new StoreError(code, storeSentence(code, path, detail), { cause: error });
}

export function sqliteMeaning(error: unknown): StoreErrorCode {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'FULL';
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return 'READ_ONLY';
  return MEANINGS.find(([prefix]) => code.startsWith(prefix))?.[1] ?? 'FAILED';
}
