// SPDX-License-Identifier: Apache-2.0
/** The contract over HTTP and WebSocket, for boxes without a display. */
import * as http from 'node:http';
import type { IncomingMessage } from 'node:http';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import type { Manager } from '../../manager/manager.ts';
import { bracketed, isLoopback, linkName, listenAddress, servedNames } from './binding.ts';
import { answerCall } from './calls.ts';
import { cookieOf, factsOf, refusal, type Place } from './guards.ts';
import { HEADERS } from './headers.ts';
import { addPasswordLogin } from './password-login.ts';
import { addScreens, noSession } from './screens.ts';
import { Sessions } from './sessions.ts';
import { addStartLink } from './start-link.ts';
import { EventsUpgrade } from './upgrade.ts';

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
  /** Further names by which browsers may ask for it; start links carry the first. */
  readonly names?: readonly string[];
  /** For tests: shorter times, and a clock for links and sessions. */
  readonly limits?: Partial<Limits>;
  readonly now?: () => number;
}

interface Limits {
  /** A request that is not whole by then is not coming. */
  readonly requestMs: number;
  /** How long a client of the events may be behind. */
  readonly slowClientMs?: number;
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
const MAX_CONNECTIONS = 256;
const REQUEST_MS = 15_000;
const KEEP_ALIVE_MS = 10_000;
const TOKEN_HEADER = 'x-godwit-token';

/** Listens. Rejects with the errno of listen(2); refuses to listen beyond loopback without TLS. */
export async function serve(options: ServeOptions): Promise<ServedApp> {
  if (options.tls === undefined && !isLoopback(options.host)) {
    throw new Error(`${options.host} is not loopback: it needs TLS and a password`);
  }
  const server = new Server(options);
  await server.listen();
  return server;
}

class Server implements ServedApp {
  readonly #options: ServeOptions;
  readonly #app: FastifyInstance;
  readonly #sessions: Sessions;
  readonly #events: EventsUpgrade;
  readonly #names: readonly string[];
  #port = 0;

  constructor(options: ServeOptions) {
    this.#options = options;
    this.#sessions = new Sessions(options.now);
    this.#names = servedNames(options.host, options.names ?? []);
    const slow = options.limits?.slowClientMs;
    this.#events = new EventsUpgrade({
      manager: options.manager,
      place: () => this.#place,
      holdsToken: ({ headers }, token) => this.#sessions.holdsToken(this.#secretOf(headers), token),
      ...(slow !== undefined && { closeSlowAfterMs: slow }),
    });
    this.#app = fastify({
      bodyLimit: MAX_BODY,
      forceCloseConnections: true,
      exposeHeadRoutes: false,
      // What the router cannot read never reaches a hook.
      frameworkErrors: (_error, _request, reply) => unreadable(reply as unknown as FastifyReply),
      serverFactory: (handler) => createServer(options, handler),
    });
    this.#routes();
    this.#app.server.on('upgrade', (request, socket, head) => this.#events.handle(request, socket, head));
  }

  get port(): number {
    return this.#port;
  }

  get origin(): string {
    const { host, names = [] } = this.#options;
    return `${this.#place.scheme}://${bracketed(linkName(host, names))}:${String(this.#port)}`;
  }

  newStartLink(): string {
    return `${this.origin}/start/${this.#sessions.newStartLink()}`;
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options;
    await this.#app.listen({ host: listenAddress(host), port });
    this.#port = (this.#app.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#events.close();
    await this.#app.close();
  }

  get #place(): Place {
    return { scheme: this.#options.tls === undefined ? 'http' : 'https', hosts: this.#names, port: this.#port };
  }

  /** Named with the port: two Godwits on one box do not overwrite each other's. */
  get #cookieName(): string {
    return `godwit_${String(this.#port)}`;
  }

  readonly #setCookie = (reply: FastifyReply, session: string): void => {
    const secure = this.#options.tls === undefined ? '' : '; Secure';
    void reply.header('set-cookie', `${this.#cookieName}=${session}; Path=/; HttpOnly; SameSite=Strict${secure}`);
  };

  #secretOf(headers: IncomingMessage['headers']): string | undefined {
    return cookieOf(headers.cookie, this.#cookieName);
  }

  #routes(): void {
    const app = this.#app;
    // A form of another site can send these without asking first.
    app.removeContentTypeParser('text/plain');
    app.addHook('onRequest', async (request, reply) => {
      void reply.headers(HEADERS);
      const refused = refusal(factsOf(request.raw, false), this.#place);
      if (refused !== null) await reply.code(refused.status).type('text/plain').send(`${refused.reason}\n`);
    });
    app.setErrorHandler((error: { statusCode?: number }, _request, reply) => {
      const status = error.statusCode ?? 500;
      const [code, message] =
        status < 500 ? ['invalid', 'The request is not one of Godwit’s.'] : ['failed', 'Godwit could not answer.'];
      return reply.code(status).header('cache-control', 'no-store').send({ error: { code, message } });
    });
    addStartLink(app, this.#sessions, this.#setCookie);
    this.#api();
    const { tls, files } = this.#options;
    if (tls !== undefined) {
      addPasswordLogin(app, tls.passwordHash, (reply) => this.#setCookie(reply, this.#sessions.open()));
    }
    addScreens(app, {
      files,
      hasLogin: tls !== undefined,
      holdsSession: ({ headers }) => this.#sessions.holds(this.#secretOf(headers)),
    });
  }

  #api(): void {
    this.#app.post('/api/session', (request, reply) => {
      const isPage = request.headers['x-godwit'] === '1';
      const token = isPage ? this.#sessions.newToken(this.#secretOf(request.headers)) : null;
      return token === null ? noSession(reply) : reply.send({ token });
    });
    this.#app.post<{ Params: { name: string }; Body: unknown }>(
      '/api/call/:name',
      {
        // Before the body is read: who has no session does not get to send a megabyte.
        onRequest: async (request, reply) => {
          const token = request.headers[TOKEN_HEADER];
          const secret = this.#secretOf(request.headers);
          const holds = typeof token === 'string' && this.#sessions.holdsToken(secret, token);
          if (!holds) await noSession(reply);
        },
      },
      async (request, reply) => {
        const { status, body } = await answerCall(this.#options.manager, request.params.name, request.body);
        return await reply.code(status).send(body);
      },
    );
  }
}

function unreadable(reply: FastifyReply): void {
  void reply.headers(HEADERS).code(400).type('text/plain').send('This address is not of Godwit.\n');
}

function createServer({ tls, limits }: ServeOptions, handler: http.RequestListener): http.Server | https.Server {
  const requestMs = limits?.requestMs ?? REQUEST_MS;
  const options = {
    maxHeaderSize: MAX_HEADER,
    headersTimeout: requestMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: requestMs / 3,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // A peer beyond the box that went away without a word.
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  };
  const server =
    tls === undefined
      ? http.createServer(options, handler)
      : https.createServer({ ...options, cert: tls.cert, key: tls.key }, handler);
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}
