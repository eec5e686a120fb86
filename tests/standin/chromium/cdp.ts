// SPDX-License-Identifier: Apache-2.0
/** The DevTools protocol over the pipe that Chromium was started with. It ends when the pipe closes. */
import type { Readable, Writable } from 'node:stream';
import type { Protocol } from '../../../node_modules/playwright-core/types/protocol.d.ts';

export type { Protocol };
export type Commands = Protocol.CommandParameters;
export type Answers = Protocol.CommandReturnValues;
export type Events = Protocol.Events;

type Listener<E extends keyof Events> = (params: Events[E]) => void;

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly method: string;
  readonly sessionId: string | undefined;
}

interface Incoming {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
  readonly method?: string;
  readonly params?: unknown;
  readonly sessionId?: string;
}

export class Cdp {
  readonly #output: Writable;
  readonly #waiting = new Map<number, Waiting>();
  readonly #sessions = new Map<string | undefined, Session>();
  readonly browser: Session;
  #lastId = 0;
  #pending: Buffer[] = [];

  constructor(output: Writable, input: Readable) {
    this.#output = output;
    this.browser = this.session(undefined);
    input.on('data', (chunk: Buffer) => this.#take(chunk));
    input.once('close', () => this.#refuseAll('Chromium has ended'));
    // A write to a Chromium that has just ended; `close` tells.
    output.on('error', () => undefined);
  }

  /** The session with that id; `undefined` is the browser's. */
  session(id: string | undefined): Session {
    const known = this.#sessions.get(id);
    if (known !== undefined) return known;
    const session = new Session(this, id);
    this.#sessions.set(id, session);
    return session;
  }

  /** Forgets a session whose target is gone. */
  forget(id: string): void {
    this.#sessions.delete(id);
    this.#refuseAll('the page is closed', id);
  }

  send(method: string, params: object, sessionId: string | undefined): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, method, sessionId });
      this.#output.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  #take(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
      const text = Buffer.concat([...this.#pending, rest.subarray(0, end)]).toString();
      this.#pending = [];
      rest = rest.subarray(end + 1);
      this.#receive(JSON.parse(text) as Incoming);
    }
    if (rest.length > 0) this.#pending.push(rest);
  }

  #receive(message: Incoming): void {
    if (message.id === undefined) {
      this.#sessions.get(message.sessionId)?.receive(message.method as keyof Events, message.params);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.error === undefined) waiting?.resolve(message.result);
    else waiting?.reject(new Error(`${waiting.method}: ${message.error.message}`));
  }

  #refuseAll(reason: string, sessionId?: string): void {
    for (const [id, waiting] of this.#waiting) {
      if (sessionId !== undefined && waiting.sessionId !== sessionId) continue;
      this.#waiting.delete(id);
      waiting.reject(new Error(`${waiting.method}: ${reason}`));
    }
  }
}

/** Commands to one target, and events of it. */
export class Session {
  readonly id: string | undefined;
  readonly #cdp: Cdp;
  readonly #listeners = new Map<keyof Events, ((params: never) => void)[]>();

  constructor(cdp: Cdp, id: string | undefined) {
    this.#cdp = cdp;
    this.id = id;
  }

  send<M extends keyof Commands>(method: M, params?: Commands[M]): Promise<Answers[M]> {
    return this.#cdp.send(method, params ?? {}, this.id) as Promise<Answers[M]>;
  }

  /** For commands whose failure only says that the page is gone. */
  post<M extends keyof Commands>(method: M, params?: Commands[M]): void {
    this.send(method, params).catch(() => undefined);
  }

  on<E extends keyof Events>(event: E, listener: Listener<E>): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  off<E extends keyof Events>(event: E, listener: Listener<E>): void {
    this.#listeners.set(event, this.#listeners.get(event)?.filter((held) => held !== listener) ?? []);
  }

  receive(event: keyof Events, params: unknown): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(params as never);
  }
}
