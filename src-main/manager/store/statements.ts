// SPDX-License-Identifier: Apache-2.0
import type Database from 'better-sqlite3';
import { StoreError } from './store-error.ts';

type Value = string | number | null;
export type Row = Readonly<Record<string, Value>>;

/** Prepared statements by their text: each is prepared once. */
export class Statements {
  readonly db: Database.Database;
  readonly #prepared = new Map<string, Database.Statement<Value[], Row>>();

  constructor(db: Database.Database) {
    this.db = db;
  }

  /** Runs it; answers how many rows it changed. */
  run(sql: string, ...values: Value[]): number {
    return this.#statement(sql).run(...values).changes;
  }

  get(sql: string, ...values: Value[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }

  all(sql: string, ...values: Value[]): Row[] {
    return this.#statement(sql).all(...values);
  }

  count(sql: string, ...values: Value[]): number {
    return Object.values(this.get(sql, ...values) ?? {})[0] as number;
  }

  /** One transaction. It takes the write lock at once, so that it waits for others instead of failing half way. */
  write<T>(work: () => T): T {
    return this.db.transaction(work).immediate();
  }

  #statement(sql: string): Database.Statement<Value[], Row> {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      statement = this.db.prepare<Value[], Row>(sql);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}

/** `INSERT INTO table (…) VALUES (?, …)` */
export function insertInto(table: string, columns: readonly string[], verb = 'INSERT'): string {
  return `${verb} INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`;
}

/** A JSON column; null as it is. */
export function parseJson(column: Value | undefined): unknown {
  return column === null || column === undefined ? null : (JSON.parse(String(column)) as unknown);
}

export function notFound(what: string, id: string): StoreError {
  return new StoreError('NOT_FOUND', `there is no ${what} ${id}`);
}
