// SPDX-License-Identifier: Apache-2.0
/** The contract over HTTP and WebSocket, as served mode speaks it. */
import { z } from 'zod';
import { CallError } from '../src-shared/call-error.ts';
import {
  callError,
  calls,
  events,
  isEventName,
  type CallInput,
  type CallName,
  type CallOutput,
  type EventEnvelope,
  type GodwitApi,
} from '../src-shared/contract.ts';

export type ConnectionState = 'connecting' | 'connected' | 'lost' | 'no-session';

export interface HostOptions {
  /** `http://127.0.0.1:7468`. */
  readonly origin: string;
  readonly onConnection: (state: ConnectionState) => void;
}

const RETRY_MS = [200, 500, 1000, 2000, 5000] as const;
const SLOW_CLIENT = 4408;

const hello = z.object({ hello: z.object({ epoch: z.string(), seq: z.int() }) });
const gap = z.object({ gap: z.literal(true) });
const envelope = z.object({ epoch: z.string(), seq: z.int().positive(), name: z.string(), data: z.unknown() });

export class ServedHost implements GodwitApi {
  readonly #options: HostOptions;
  readonly #listeners = new Set<{ readonly onEvent: (event: EventEnvelope) => void; readonly onGap: () => void }>();
  #token: Promise<string> | undefined;
  #epoch = '';
  #seq = 0;
  #attempt = 0;
  #closed = false;
  #socket: WebSocket | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
    void this.#connect();
  }

  async call<Name extends CallName>(name: Name, input: CallInput<Name>): Promise<CallOutput<Name>> {
    const reply = await this.#post(`/api/call/${name}`, { input }, true);
    const body: unknown = await reply.json().catch(() => null);
    if (!reply.ok) {
      if (reply.status === 401) this.#lostSession();
      const error = z.object({ error: callError }).safeParse(body);
      throw error.success
        ? new CallError(error.data.error.code, error.data.error.message)
        : new CallError('unavailable', 'Godwit did not answer as expected. Reload the page.');
    }
    const { output } = z.object({ output: z.unknown() }).parse(body);
    return calls[name].output.parse(output) as CallOutput<Name>;
  }

  subscribe(onEvent: (event: EventEnvelope) => void, onGap: () => void): () => void {
    const listener = { onEvent, onGap };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Ends the connection for good; for tests. */
  close(): void {
    this.#closed = true;
    this.#socket?.close();
  }

  async #post(path: string, body: unknown, withToken: boolean): Promise<Response> {
    const token: Record<string, string> = withToken
      ? { 'X-Godwit-Token': await this.#getToken() }
      : { 'X-Godwit': '1' };
    try {
      return await fetch(`${this.#options.origin}${path}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...token },
        body: JSON.stringify(body),
        credentials: 'same-origin',
        redirect: 'error',
      });
    } catch {
      throw new CallError('unavailable', 'Godwit does not answer. Is it still running?');
    }
  }

  /** One for this page; held in memory only. */
  #getToken(): Promise<string> {
    this.#token ??= this.#post('/api/session', {}, false).then(async (reply) => {
      if (reply.status === 401) this.#lostSession();
      if (!reply.ok) throw new CallError('unavailable', 'This page has no session with Godwit any more.');
      return z.object({ token: z.string() }).parse(await reply.json()).token;
    });
    this.#token.catch(() => (this.#token = undefined));
    return this.#token;
  }

  async #connect(): Promise<void> {
    if (this.#closed) return;
    this.#options.onConnection('connecting');
    let token: string;
    try {
      token = await this.#getToken();
    } catch {
      this.#retry();
      return;
    }
    const query = new URLSearchParams({ after: String(this.#seq), epoch: this.#epoch });
    const url = `${this.#options.origin.replace(/^http/u, 'ws')}/api/events?${query}`;
    const socket = new WebSocket(url, ['godwit', `token.${token}`]);
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#receive(String(data)));
    socket.addEventListener('close', ({ code }) => {
      if (code === SLOW_CLIENT) this.#attempt = 0;
      this.#retry();
    });
  }

  #receive(text: string): void {
    const message: unknown = JSON.parse(text);
    const greeting = hello.safeParse(message);
    if (greeting.success) return this.#greeted(greeting.data.hello);
    if (gap.safeParse(message).success) return this.#missed();
    const { epoch, seq, name, data } = envelope.parse(message);
    if (!isEventName(name)) return; // a newer manager's
    if (seq > this.#seq) this.#seq = seq;
    const checked = events[name].safeParse(data);
    // Not of the contract: what it would have told is asked for.
    if (!checked.success) return this.#missed();
    const event = { epoch, seq, name, data: checked.data } as EventEnvelope;
    for (const { onEvent } of this.#listeners) onEvent(event);
  }

  #greeted({ epoch, seq }: { readonly epoch: string; readonly seq: number }): void {
    this.#attempt = 0;
    this.#options.onConnection('connected');
    const first = this.#epoch === '';
    const other = !first && this.#epoch !== epoch;
    this.#epoch = epoch;
    if (first || other) this.#seq = seq;
    if (other) this.#missed();
  }

  #missed(): void {
    for (const { onGap } of this.#listeners) onGap();
  }

  #retry(): void {
    if (this.#closed) return;
    this.#options.onConnection('lost');
    // A server that started anew knows no old token.
    this.#token = undefined;
    const wait = RETRY_MS[Math.min(this.#attempt, RETRY_MS.length - 1)] ?? 5000;
    this.#attempt += 1;
    setTimeout(() => void this.#connect(), wait);
  }

  #lostSession(): void {
    this.#closed = true;
    this.#socket?.close();
    this.#options.onConnection('no-session');
  }
}
