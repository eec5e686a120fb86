// SPDX-License-Identifier: Apache-2.0
import type Database from 'better-sqlite3';
import { machineOperations } from './machines.ts';
import { profileAndSettingsOperations } from './profiles-settings.ts';
import type { Operations } from './protocol.ts';
import { rowOperations } from './run-rows.ts';
import { runOperations } from './runs.ts';
import { Statements } from './statements.ts';

/** Every operation on an open database. They throw whatever SQLite or a schema throws. */
export function createOperations(db: Database.Database): Operations {
  const statements = new Statements(db);
  return {
    ...machineOperations(statements),
    ...runOperations(statements),
    ...rowOperations(statements),
    ...profileAndSettingsOperations(statements),
  };
}
