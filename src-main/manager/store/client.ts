// SPDX-License-Identifier: Apache-2.0
/** The store's face: each call is a message to its thread and back. */
import { Worker } from 'node:worker_threads';
import { moduleBeside } from '../../../src-shared/module-beside.ts';
import { dataFilePath } from '../paths.ts';
import { OPERATIONS } from './protocol.ts';
import type { OperationName, Request, Response, StoreErrorData, WorkerOptions } from './protocol.ts';
import { storeSentence } from './sqlite-failure.ts';
import type { Store, StoreOptions } from './store.ts';
import { StoreError } from './store-error.ts';

const BUSY_TIMEOUT_MS = 5000;
/** Calls that are with the thread at one time; the others wait here, in order, so that a slow disk fills no queue there. */
const MAX_IN_FLIGHT = 32;

interface Call {
  readonly request: Request;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: StoreError) => void;
}

/** Rejects with a StoreError where the options ask for that. */
export async function startStore(options: StoreOptions): Promise<Store> {
  const path = options.path ?? dataFilePath();
  const workerData: WorkerOptions = {
    path,
    whenUnusable: options.whenUnusable ?? 'memory',
    busyTimeoutMs: options.busyTimeoutMs ?? BUSY_TIMEOUT_MS,
  };
  const thread = new ThreadPort(path, workerData);
  const opened = await thread.opened;
  const methods = Object.fromEntries(
    (Object.keys(OPERATIONS) as OperationName[]).map((operation) => [
      operation,
      (...args: unknown[]) => thread.call(operation, args),
    ]),
  ) as unknown as Pick<Store, OperationName>;
  return {
    ...methods,
    path,
    notices: opened.notices,
    get problem() {
      return thread.problem;
    },
    onProblem: (listener) => thread.onProblem(listener),
    close: () => thread.close(),
  };
}

class ThreadPort {
  readonly opened: Promise<{ readonly notices: readonly string[] }>;
  readonly #path: string;
  readonly #worker: Worker;
  readonly #waiting: Call[] = [];
  readonly #inFlight = new Map<number, Call>();
  readonly #listeners = new Set<(problem: string | null) => void>();
  #nextId = 1;
  #problem: string | null = null;
  #ended: StoreError | undefined;
  #closing: Promise<void> | undefined;

  constructor(path: string, workerData: WorkerOptions) {
    this.#path = path;
    this.#worker = new Worker(moduleBeside(import.meta.url, './worker'), { workerData, name: 'godwit-store' });
    this.opened = new Promise((resolve, reject) => {
      this.#worker.on('message', (response: Response) => {
        if (response.kind === 'opened') {
          this.#setProblem(response.problem);
          // An idle store keeps no process alive.
          this.#worker.unref();
          resolve({ notices: response.notices });
        } else if (response.kind === 'unusable') {
          reject(storeError(response.error));
        } else {
          this.#settle(response);
        }
      });
      const end = (error: StoreError): void => {
        this.#end(error);
        reject(error);
      };
      this.#worker.on('error', (cause: unknown) => {
        const detail = ` (${cause instanceof Error ? cause.message : String(cause)})`;
        end(new StoreError('FAILED', storeSentence('FAILED', path, detail), { cause }));
      });
      this.#worker.on('exit', () => {
        end(new StoreError('CLOSED', storeSentence('CLOSED', path)));
      });
    });
  }

  get problem(): string | null {
    return this.#problem;
  }

  onProblem(listener: (problem: string | null) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  call(operation: OperationName, args: readonly unknown[]): Promise<unknown> {
    if (this.#closing !== undefined)
      return Promise.reject(new StoreError('CLOSED', storeSentence('CLOSED', this.#path)));
    return this.#request((id) => ({ kind: 'call', id, operation, args }));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    await this.#request((id) => ({ kind: 'close', id })).catch(() => undefined); // a thread that ended is closed
    await exited;
  }

  #request(make: (id: number) => Request): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const request = make(this.#nextId);
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      this.#sendNext();
    });
  }

  #sendNext(): void {
    while (this.#inFlight.size < MAX_IN_FLIGHT) {
      const call = this.#waiting.shift();
      if (call === undefined) break;
      this.#inFlight.set(call.request.id, call);
      this.#worker.ref();
      try {
        this.#worker.postMessage(call.request);
      } catch (cause) {
        // What cannot be copied to another thread is no data.
        this.#inFlight.delete(call.request.id);
        call.reject(new StoreError('INVALID', storeSentence('INVALID', this.#path), { cause }));
      }
    }
    if (this.#inFlight.size === 0) this.#worker.unref();
  }

  #settle(response: Extract<Response, { readonly id: number }>): void {
    this.#setProblem(response.problem);
    const call = this.#inFlight.get(response.id);
    this.#inFlight.delete(response.id);
    this.#sendNext();
    if (call?.request.kind === 'close') this.#worker.ref(); // until it has ended
    if (response.kind === 'done') call?.resolve(response.value);
    else call?.reject(storeError(response.error));
  }

  #setProblem(problem: string | null): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    for (const listener of this.#listeners) listener(problem);
  }

  #end(error: StoreError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    if (this.#closing === undefined && error.code !== 'CLOSED') this.#setProblem(error.message);
    const calls = [...this.#inFlight.values(), ...this.#waiting];
    this.#inFlight.clear();
    this.#waiting.length = 0;
    for (const call of calls) call.reject(error);
  }
}

const storeError = ({ code, message }: StoreErrorData): StoreError => new StoreError(code, message);
