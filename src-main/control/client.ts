// SPDX-License-Identifier: Apache-2.0
/** A QMP client on a unix socket, for Godwit's machines and for QEMU. */
import * as net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { plainText } from '../../src-shared/plain-text.ts';
import { isJsonObject, plainJson, writeJson, type JsonObject, type JsonValue } from './json.ts';
import { QmpError, type QmpEvent, type QmpGreeting } from './protocol.ts';
import { JsonReader, REPLY_LIMITS, type JsonResult } from './reader.ts';

/** The connection failed, was lost, or the peer does not speak QMP. The message names the socket. */
export class QmpConnectionError extends Error {
  override readonly name = 'QmpConnectionError';
  /** An errno name, `CLOSED`, `PROTOCOL` or `TIMEOUT`. */
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export interface WaitOptions {
  /** Gives up with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Gives up after this many milliseconds with a QmpConnectionError `TIMEOUT`. */
  readonly timeoutMs?: number;
}

export interface ConnectOptions extends WaitOptions {
  /** How long to retry while nobody listens there yet, in milliseconds; 0 by default. `timeoutMs` starts after it. */
  readonly waitForSocketMs?: number;
  /** Negotiates out-of-band execution. */
  readonly oob?: boolean;
}

export interface ExecuteOptions extends WaitOptions {
  /** Asks for execution ahead of other commands; the session must have negotiated it. */
  readonly oob?: boolean;
}

export type EventListener = (event: QmpEvent) => void;

/** Between two attempts to reach a socket that is not there yet: a process starts in some tens of milliseconds. */
const RETRY_EVERY_MS = 20;

interface Pending {
  readonly resolve: (result: JsonValue) => void;
  readonly reject: (error: unknown) => void;
}

export class QmpClient {
  readonly #path: string;
  readonly #socket: net.Socket;
  readonly #reader = new JsonReader(REPLY_LIMITS);
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<EventListener>();
  readonly #greeted = Promise.withResolvers<QmpGreeting>();
  readonly #closed = Promise.withResolvers<void>();
  #greeting: QmpGreeting | undefined;
  #failure: QmpConnectionError | undefined;
  #nextId = 1;

  private constructor(path: string, socket: net.Socket) {
    this.#path = path;
    this.#socket = socket;
    // Whoever waits for the greeting sees its rejection; when nobody does, it is no unhandled one.
    this.#greeted.promise.catch(() => undefined);
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(error.code ?? 'EIO', error.message));
    socket.on('close', () => {
      this.#fail('CLOSED', 'the other side closed it');
      this.#closed.resolve();
    });
  }

  /** Connects to the socket at `path`, waits for the greeting, negotiates. Leaves nothing open when it rejects. */
  static async connect(path: string, options: ConnectOptions = {}): Promise<QmpClient> {
    const { signal, timeoutMs, waitForSocketMs = 0, oob = false } = options;
    const socket = await connectSocket(path, waitForSocketMs, signal);
    const client = new QmpClient(path, socket);
    try {
      await client.#wait(client.#greeted.promise, 'the greeting', { signal, timeoutMs });
      await client.execute('qmp_capabilities', oob ? { enable: ['oob'] } : undefined, { signal, timeoutMs });
      return client;
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  /** What the server said of itself. */
  get greeting(): QmpGreeting {
    if (this.#greeting === undefined) throw this.#lost('PROTOCOL', 'it has not greeted');
    return this.#greeting;
  }

  /** Resolves when the connection is gone, for whatever reason. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /**
   * Runs a command and gives its result. Throws a QmpError when it is refused, a QmpConnectionError when the connection is
   * lost before the reply. Giving up (signal, timeout) does not undo the command.
   */
  async execute(
    command: string,
    args?: Readonly<Record<string, unknown>>,
    options: ExecuteOptions = {},
  ): Promise<JsonValue> {
    if (this.#failure !== undefined) throw this.#failure;
    options.signal?.throwIfAborted();
    const id = this.#nextId++;
    const request = writeJson({ [options.oob === true ? 'exec-oob' : 'execute']: command, arguments: args, id });
    const { promise, resolve, reject } = Promise.withResolvers<JsonValue>();
    this.#pending.set(id, { resolve, reject });
    this.#socket.write(`${request}\r\n`, 'latin1');
    try {
      return await this.#wait(promise, `the reply to ${command}`, options);
    } finally {
      this.#pending.delete(id);
    }
  }

  /** Calls `listener` with every event from now on; gives the function that ends it. */
  on(_kind: 'event', listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The first event from now on of that name, or that the predicate accepts. */
  async waitForEvent(wanted: string | ((event: QmpEvent) => boolean), options: WaitOptions = {}): Promise<QmpEvent> {
    if (this.#failure !== undefined) throw this.#failure;
    const accepts = typeof wanted === 'string' ? (event: QmpEvent) => event.event === wanted : wanted;
    const what = typeof wanted === 'string' ? `the event ${wanted}` : 'an event';
    const { promise, resolve, reject } = Promise.withResolvers<QmpEvent>();
    const stop = this.on('event', (event) => {
      if (accepts(event)) resolve(event);
    });
    void this.closed.then(() => reject(this.#failure));
    try {
      return await this.#wait(promise, what, options);
    } finally {
      stop();
    }
  }

  /** Closes the connection; resolves when it is closed. Commands that wait for their reply are rejected. */
  async close(): Promise<void> {
    this.#fail('CLOSED', 'it was closed');
    await this.closed;
  }

  #receive(bytes: Uint8Array): void {
    for (const result of this.#reader.push(bytes)) {
      if (this.#failure !== undefined) return;
      this.#take(result);
    }
  }

  #take(result: JsonResult): void {
    if (!result.ok) return this.#fail('PROTOCOL', `the other side does not speak QMP (${plainText(result.sentence)})`);
    const message = result.value;
    if (!isJsonObject(message)) return this.#fail('PROTOCOL', 'the other side does not speak QMP');
    if ('event' in message) this.#announce(plainJson(message) as unknown as QmpEvent);
    else if (this.#greeting === undefined) this.#takeGreeting(message);
    else this.#takeReply(message);
  }

  #takeGreeting(message: JsonObject): void {
    const greeting = message['QMP'];
    if (!isJsonObject(greeting) || !isJsonObject(greeting['version'])) {
      return this.#fail('PROTOCOL', 'the other side does not greet as QMP');
    }
    this.#greeting = plainJson(message) as unknown as QmpGreeting;
    this.#greeted.resolve(this.#greeting);
  }

  #takeReply(message: JsonObject): void {
    const id = message['id'];
    const pending = typeof id === 'number' ? this.#pending.get(id) : undefined;
    // A reply that nobody waits for any more: its command was given up.
    if (pending === undefined) return;
    const error = message['error'];
    if (error === undefined) {
      pending.resolve(plainJson(message['return'] ?? {}));
      return;
    }
    const { class: errorClass, desc } = isJsonObject(error) ? error : {};
    const wellFormed = typeof errorClass === 'string' && typeof desc === 'string';
    pending.reject(
      wellFormed
        ? new QmpError(errorClass, desc)
        : this.#lost('PROTOCOL', 'the other side answered with a malformed error'),
    );
  }

  #announce(event: QmpEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  /** The connection is of no more use: everything that waits is told why. Only the first reason counts. */
  #fail(code: string, reason: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = this.#lost(code, reason);
    this.#greeted.reject(this.#failure);
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
    this.#socket.destroy();
  }

  #lost(code: string, reason: string, cause?: unknown): QmpConnectionError {
    return new QmpConnectionError(code, `The control connection to ${this.#path} is lost: ${reason}`, cause);
  }

  async #wait<T>(promise: Promise<T>, what: string, { signal, timeoutMs }: WaitOptions): Promise<T> {
    const { promise: givenUp, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(signal?.reason);
    const deadline =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            const sentence = `${this.#path} has not sent ${what} within ${timeoutMs} ms`;
            reject(new QmpConnectionError('TIMEOUT', sentence));
          }, timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted === true) abort();
    try {
      return await Promise.race([promise, givenUp]);
    } finally {
      clearTimeout(deadline);
      signal?.removeEventListener('abort', abort);
    }
  }
}

async function connectSocket(path: string, waitForSocketMs: number, signal?: AbortSignal): Promise<net.Socket> {
  const giveUpAt = performance.now() + waitForSocketMs;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await tryConnect(path, signal);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const notYet = code === 'ENOENT' || code === 'ECONNREFUSED';
      if (!notYet || performance.now() >= giveUpAt) throw connectError(path, error);
      await sleep(RETRY_EVERY_MS, undefined, { signal });
    }
  }
}

async function tryConnect(path: string, signal?: AbortSignal): Promise<net.Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<net.Socket>();
  const socket = net.connect({ path });
  const abort = (): void => {
    socket.destroy();
    reject(signal?.reason);
  };
  signal?.addEventListener('abort', abort, { once: true });
  socket.once('error', reject);
  socket.once('connect', () => resolve(socket));
  try {
    return await promise;
  } finally {
    socket.off('error', reject);
    signal?.removeEventListener('abort', abort);
  }
}

/** The reasons that a user can do something about, in a sentence each. */
function connectError(path: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
      return new QmpConnectionError(code, `There is no socket at ${path}: is the machine running?`, error);
    case 'ECONNREFUSED':
      return new QmpConnectionError(code, `Nobody is listening on ${path}: is the machine still running?`, error);
    case 'EACCES':
      return new QmpConnectionError(
        code,
        `No permission to open ${path}: ask as the user who started the machine`,
        error,
      );
    case undefined:
      return error;
    default:
      return new QmpConnectionError(code, `Cannot connect to ${path}: ${message}`, error);
  }
}
