// SPDX-License-Identifier: Apache-2.0
/** The store's thread: the only place that touches the database. */
import { parentPort, workerData } from 'node:worker_threads';
import { openDatabase } from './database.ts';
import type { OpenedDatabase } from './database.ts';
import { createOperations } from './operations.ts';
import { OPERATIONS } from './protocol.ts';
import type { OperationName, Operations, Request, Response, StoreErrorData, WorkerOptions } from './protocol.ts';
import { storeErrorOf } from './sqlite-failure.ts';
import type { StoreErrorCode } from './store-error.ts';

/** Failures of the file; the others are the caller's own. */
const FILE_FAILURES: readonly StoreErrorCode[] = ['LOCKED', 'READ_ONLY', 'CORRUPT', 'FULL', 'FAILED'];

const options = workerData as WorkerOptions;
const send = (response: Response): void => parentPort?.postMessage(response);
const errorData = (error: unknown): StoreErrorData => {
  const { code, message } = storeErrorOf(error, options.path);
  return { code, message };
};

class StoreThread {
  readonly #opened: OpenedDatabase;
  readonly #operations: Operations;
  #problem: string | null;

  constructor(opened: OpenedDatabase) {
    this.#opened = opened;
    this.#operations = createOperations(opened.db);
    this.#problem = opened.problem;
  }

  start(): void {
    const notices = [...this.#opened.notices, ...this.#interruptOrphans()];
    send({ kind: 'opened', problem: this.#problem, notices });
    parentPort?.on('message', (request: Request) => {
      if (request.kind === 'call') this.#call(request.id, request.operation, request.args);
      else this.#close(request.id);
    });
  }

  #interruptOrphans(): string[] {
    if (this.#opened.kept === 'memory' || this.#problem !== null) return [];
    try {
      const ids = this.#operations.interruptOrphanedRuns();
      const [runs, was] = ids.length === 1 ? ['run', 'was'] : ['runs', 'were'];
      return ids.length === 0
        ? []
        : [`${String(ids.length)} ${runs} ${was} interrupted: the process that drove it is gone`];
    } catch (error) {
      this.#problem = errorData(error).message;
      return [];
    }
  }

  #call(id: number, operation: OperationName, args: readonly unknown[]): void {
    try {
      const run = this.#operations[operation] as (...all: readonly unknown[]) => unknown;
      const value = run(...args);
      if (OPERATIONS[operation] === 'write' && this.#opened.kept === 'file') this.#problem = null;
      send({ kind: 'done', id, value, problem: this.#problem });
    } catch (error) {
      const data = errorData(error);
      if (this.#opened.kept === 'file' && FILE_FAILURES.includes(data.code)) this.#problem = data.message;
      send({ kind: 'failed', id, error: data, problem: this.#problem });
    }
  }

  #close(id: number): void {
    const { db, kept } = this.#opened;
    try {
      // The last one to close removes the log itself; where others have it open, what can be is moved into the file.
      if (kept === 'file') db.pragma('wal_checkpoint(PASSIVE)');
    } catch {
      // The log holds it all: the next one who opens the file reads it from there.
    }
    db.close();
    send({ kind: 'done', id, value: undefined, problem: this.#problem });
    parentPort?.close();
  }
}

try {
  new StoreThread(openDatabase(options)).start();
} catch (error) {
  send({ kind: 'unusable', error: errorData(error) });
}
