// SPDX-License-Identifier: Apache-2.0
/** The real server on a free port, with a small manager and a page of its own to serve. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { serve, type ServedApp, type ServeOptions } from '../../../src-main/shells/served/server.ts';
import { exchange, request } from './raw-http.ts';
import { smallManager, type SmallManager } from './small-manager.ts';

export interface TestApp {
  readonly app: ServedApp;
  readonly manager: SmallManager;
  readonly files: string;
  close(): Promise<void>;
}

export const DOCUMENT =
  '<!doctype html><title>Godwit</title><meta property="csp-nonce" nonce="__CSP_NONCE__"><script type="module" src="/assets/app-1a2b.js"></script>';

export async function startApp(options: Partial<ServeOptions> = {}): Promise<TestApp> {
  const folder = mkdtempSync(join(tmpdir(), 'gw-served-'));
  const files = join(folder, 'renderer');
  mkdirSync(join(files, 'assets'), { recursive: true });
  writeFileSync(join(files, 'index.html'), DOCUMENT);
  writeFileSync(join(files, 'assets', 'app-1a2b.js'), 'export {};\n');
  writeFileSync(join(folder, 'secret.txt'), 'SECRET OUTSIDE\n');
  const manager = smallManager();
  const app = await serve({ host: '127.0.0.1', port: 0, files, manager: Promise.resolve(manager), ...options });
  return {
    app,
    manager,
    files,
    close: async () => {
      await app.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What one browser holds. */
export interface Session {
  readonly cookie: string;
  readonly token: string;
}

/** Exchanges a fresh start link, and asks for the page's token. */
export async function openSession({ port, origin, newStartLink }: Bound): Promise<Session> {
  const path = new URL(newStartLink()).pathname;
  const entered = await exchange(port, request(`GET ${path}`, { host: `127.0.0.1:${String(port)}` }));
  const [cookie = ''] = (entered.headers['set-cookie'] ?? '').split(';');
  const answer = await exchange(
    port,
    request('POST /api/session', { host: new URL(origin).host, origin, cookie, 'x-godwit': '1' }),
  );
  const { token } = JSON.parse(answer.body) as { token: string };
  return { cookie, token };
}

interface Bound {
  readonly port: number;
  readonly origin: string;
  readonly newStartLink: () => string;
}

export const bound = (app: ServedApp): Bound => ({
  port: app.port,
  origin: app.origin,
  newStartLink: () => app.newStartLink(),
});

export type Frame = Readonly<Record<string, unknown>>;

/** A client of the events that keeps what came and can wait for it. */
export class EventsClient {
  readonly frames: Frame[] = [];
  readonly socket: WebSocket;
  readonly closed: Promise<number>;
  #changed = Promise.withResolvers<void>();

  constructor(origin: string, { cookie, token }: Session, query = '') {
    this.socket = new WebSocket(`${origin.replace('http', 'ws')}/api/events${query}`, ['godwit', `token.${token}`], {
      headers: { cookie, origin },
    });
    this.socket.on('message', (data) => {
      this.frames.push(JSON.parse((data as Buffer).toString()) as Frame);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => this.socket.on('close', (code) => resolve(code)));
  }

  /** Resolves with the first frame that is accepted, of those that came and will come. */
  async until(accept: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.frames.find(accept);
      if (found !== undefined) return found;
      await Promise.race([
        this.#changed.promise,
        this.closed.then((code) => Promise.reject(new Error(`closed with ${String(code)}`))),
      ]);
    }
  }

  /** Sequence numbers of the events that came, in order. */
  get seqs(): number[] {
    return this.frames.flatMap(({ seq }) => (typeof seq === 'number' ? [seq] : []));
  }
}
