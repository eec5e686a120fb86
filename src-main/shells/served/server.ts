// SPDX-License-Identifier: Apache-2.0
/** The contract over HTTP and WebSocket, for boxes without a display. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import * as http from 'node:http';
import type { IncomingMessage } from 'node:http';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import fastifyStatic from '@fastify/static';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { WebSocketServer } from 'ws';
import { CallError } from '../../../src-shared/call-error.ts';
import type { CallErrorData } from '../../../src-shared/contract.ts';
import type { Manager } from '../../manager/manager.ts';
import { MAX_CLIENT_FRAME, serveEvents } from './events-socket.ts';
import { cookieOf, refusal, type Place } from './guards.ts';
import { BAD_LINK_PAGE, contentSecurityPolicy, ENTER_PAGE, HEADERS, NO_SESSION_PAGE, NOT_BUILT_PAGE } from './pages.ts';
import { addPasswordLogin } from './password-login.ts';
import { RateLimit } from './rate-limit.ts';
import { Sessions } from './sessions.ts';

export interface ServeOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Built screens. */
  readonly files: string;
  /** Listening begins before the manager is there; calls wait for it. */
  readonly manager: Promise<Manager>;
  /** Beyond loopback: without it the server is not started. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly passwordHash: string };
  /** Further names by which browsers may ask for it. */
  readonly names?: readonly string[];
}

export interface ServedApp {
  readonly port: number;
  readonly origin: string;
  /** A fresh address for one browser: good once, for a minute. */
  newStartLink(): string;
  close(): Promise<void>;
}

const MAX_BODY = 1024 ** 2;
const MAX_HEADER = 16 * 1024;
/** A request that is not whole by then is not coming. */
const REQUEST_TIMEOUT_MS = 15_000;
const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '::1'] as const;
const API_TOKEN_HEADER = 'x-godwit-token';
const TOKEN_PROTOCOL = 'token.';
const STATUS: Readonly<Record<CallErrorData['code'], number>> = {
  invalid: 400,
  'not-found': 404,
  refused: 409,
  failed: 502,
  unavailable: 503,
};

export function isLoopback(host: string): boolean {
  return (LOOPBACK_NAMES as readonly string[]).includes(host) || host.startsWith('127.');
}

/** Listens. Rejects with the errno of listen(2). */
export async function serve(options: ServeOptions): Promise<ServedApp> {
  const server = new Server(options);
  await server.listen();
  return server;
}

class Server implements ServedApp {
  readonly #options: ServeOptions;
  readonly #app: FastifyInstance;
  readonly #sessions = new Sessions();
  readonly #startAttempts = new RateLimit({ attempts: 10, perMs: 60_000 });
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_CLIENT_FRAME,
    perMessageDeflate: false,
    handleProtocols: (protocols) => (protocols.has('godwit') ? 'godwit' : false),
  });
  #port = 0;

  constructor(options: ServeOptions) {
    this.#options = options;
    const { tls } = options;
    const limits = {
      maxHeaderSize: MAX_HEADER,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
    };
    this.#app = fastify({
      bodyLimit: MAX_BODY,
      forceCloseConnections: true,
      exposeHeadRoutes: false,
      serverFactory: (handler) =>
        tls === undefined
          ? http.createServer(limits, handler)
          : https.createServer({ ...limits, cert: tls.cert, key: tls.key }, handler),
    });
    this.#routes();
    this.#app.server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  get port(): number {
    return this.#port;
  }

  get origin(): string {
    const host = this.#options.host.includes(':') ? `[${this.#options.host}]` : this.#options.host;
    return `${this.#place.scheme}://${host}:${this.#port}`;
  }

  newStartLink(): string {
    return `${this.origin}/start/${this.#sessions.newStartLink()}`;
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options;
    await this.#app.listen({ host, port });
    this.#port = (this.#app.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    await this.#app.close();
  }

  get #place(): Place {
    const { host, names = [], tls } = this.#options;
    const hosts = isLoopback(host) ? [...LOOPBACK_NAMES, host, ...names] : [host, ...names];
    return { scheme: tls === undefined ? 'http' : 'https', hosts: [...new Set(hosts)], port: this.#port };
  }

  /** Named with the port: two Godwits on one box do not overwrite each other's. */
  get #cookieName(): string {
    return `godwit_${this.#port}`;
  }

  #cookie(secret: string): string {
    const secure = this.#options.tls === undefined ? '' : '; Secure';
    return `${this.#cookieName}=${secret}; Path=/; HttpOnly; SameSite=Strict${secure}`;
  }

  #secretOf(headers: IncomingMessage['headers']): string | undefined {
    return cookieOf(headers.cookie, this.#cookieName);
  }

  #routes(): void {
    const app = this.#app;
    app.addHook('onRequest', async (request, reply) => {
      void reply.headers(HEADERS);
      const { method, headers, raw } = request;
      const url = raw.url ?? '/';
      const refused = refusal({ method, host: headers.host, origin: headers.origin, url, upgrade: false }, this.#place);
      if (refused !== null) await reply.code(refused.status).type('text/plain').send(`${refused.reason}\n`);
    });
    app.setNotFoundHandler((request, reply) => this.#screens(request, reply));
    app.setErrorHandler((error: { statusCode?: number }, _request, reply) => {
      const status = error.statusCode ?? 500;
      const message = status < 500 ? 'The request is not one of Godwit’s.' : 'Godwit could not answer.';
      return reply.code(status).send({ error: { code: 'invalid', message } });
    });
    app.get<{ Params: { secret: string } }>('/start/:secret', (request, reply) => {
      if (!this.#startAttempts.take()) return reply.code(429).type('text/html').send(BAD_LINK_PAGE);
      const session = this.#sessions.redeem(request.params.secret);
      if (session === null) return reply.code(403).type('text/html').send(BAD_LINK_PAGE);
      return reply.header('set-cookie', this.#cookie(session)).type('text/html').send(ENTER_PAGE);
    });
    app.post('/api/session', (request, reply) => {
      const token =
        request.headers['x-godwit'] === '1' ? this.#sessions.newToken(this.#secretOf(request.headers)) : null;
      if (token === null) return noSession(reply);
      return reply.send({ token });
    });
    app.post<{ Params: { name: string }; Body: unknown }>('/api/call/:name', (request, reply) =>
      this.#call(request, reply),
    );
    const { tls } = this.#options;
    if (tls !== undefined) {
      addPasswordLogin(app, tls.passwordHash, (reply) => {
        void reply.header('set-cookie', this.#cookie(this.#sessions.open()));
      });
    }
    if (existsSync(this.#options.files)) {
      void app.register(fastifyStatic, { root: this.#options.files, serve: false });
    }
    app.get('/godwit-mark.svg', (_request, reply) => reply.sendFile('godwit-mark.svg'));
    app.get('/assets/*', (request, reply) => {
      if (!this.#sessions.holds(this.#secretOf(request.headers))) return noSession(reply);
      const [path = '/'] = request.url.split('?');
      // Their names hold the hash of their content.
      return reply.header('cache-control', 'private, max-age=31536000, immutable').sendFile(path.slice(1));
    });
  }

  /** Every address of the app is the same document; the page knows which screen it names. */
  #screens(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    if (request.method !== 'GET' || request.url.startsWith('/api/')) {
      return reply.code(404).send({ error: { code: 'not-found', message: 'There is nothing here.' } });
    }
    if (!this.#sessions.holds(this.#secretOf(request.headers))) {
      if (this.#options.tls !== undefined) return reply.redirect('/login', 303);
      return reply.code(401).type('text/html').send(NO_SESSION_PAGE);
    }
    if (!existsSync(join(this.#options.files, 'index.html'))) {
      return reply.code(503).type('text/html').send(NOT_BUILT_PAGE);
    }
    // The terminal makes style elements: they need the nonce of this page load.
    const nonce = randomBytes(16).toString('base64');
    const document = readFileSync(join(this.#options.files, 'index.html'), 'utf8').replace('__CSP_NONCE__', nonce);
    return reply.header('content-security-policy', contentSecurityPolicy(nonce)).type('text/html').send(document);
  }

  async #call(
    request: FastifyRequest<{ Params: { name: string }; Body: unknown }>,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const token = request.headers[API_TOKEN_HEADER];
    const secret = this.#secretOf(request.headers);
    if (typeof token !== 'string' || !this.#sessions.holdsToken(secret, token)) return noSession(reply);
    try {
      const manager = await this.#options.manager;
      const body: unknown = request.body;
      const input: unknown = typeof body === 'object' && body !== null && 'input' in body ? body.input : undefined;
      return await reply.send({ output: await manager.call(request.params.name, input) });
    } catch (error) {
      const known = error instanceof CallError ? error : new CallError('failed', 'Godwit could not answer.');
      return await reply.code(STATUS[known.code]).send({ error: known.toData() });
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const { method = '', headers, url = '/' } = request;
    const refused = refusal({ method, host: headers.host, origin: headers.origin, url, upgrade: true }, this.#place);
    if (refused !== null) return refuse(socket, refused.status);
    const address = new URL(url, 'http://godwit');
    if (address.pathname !== '/api/events') return refuse(socket, 404);
    const offered = (headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/u);
    const token = offered.find((name) => name.startsWith(TOKEN_PROTOCOL))?.slice(TOKEN_PROTOCOL.length);
    if (!offered.includes('godwit') || !this.#sessions.holdsToken(this.#secretOf(headers), token)) {
      return refuse(socket, 401);
    }
    this.#sockets.handleUpgrade(request, socket, head, (client) => {
      const after = Number(address.searchParams.get('after') ?? Number.NaN);
      const epoch = address.searchParams.get('epoch') ?? '';
      this.#options.manager.then(
        (manager) => serveEvents(client, manager, { after, epoch }),
        () => client.close(1011, 'the manager did not start'),
      );
    });
  }
}

function noSession(reply: FastifyReply): FastifyReply {
  return reply
    .code(401)
    .send({ error: { code: 'refused', message: 'This page has no session: open a new start link.' } });
}

function refuse(socket: Duplex, status: number): void {
  socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
