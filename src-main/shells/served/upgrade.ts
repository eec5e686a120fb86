// SPDX-License-Identifier: Apache-2.0
/** `WS /api/events`: who may have events. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { Manager } from '../../manager/manager.ts';
import { closeCodes, MAX_CLIENT_FRAME, serveEvents } from './events-socket.ts';
import { factsOf, refusal, type Place } from './guards.ts';

const PATH = '/api/events';
const PROTOCOL = 'godwit';
/** A browser cannot give headers to a WebSocket: the token comes as a second subprotocol, which is never answered. */
const TOKEN_PROTOCOL = 'token.';
const MAX_CLIENTS = 64;

export interface UpgradeOptions {
  readonly manager: Promise<Manager>;
  readonly place: () => Place;
  /** Whether request and token belong to one session; a use keeps it alive. */
  readonly holdsToken: (request: IncomingMessage, token: string | undefined) => boolean;
  readonly closeSlowAfterMs?: number;
}

export class EventsUpgrade {
  readonly #options: UpgradeOptions;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_CLIENT_FRAME,
    perMessageDeflate: false,
    handleProtocols: () => PROTOCOL,
  });

  constructor(options: UpgradeOptions) {
    this.#options = options;
  }

  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const refused = refusal(factsOf(request, true), this.#options.place());
    if (refused !== null) return refuse(socket, refused.status);
    const [path, query = ''] = (request.url ?? '').split('?');
    if (path !== PATH) return refuse(socket, 404);
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/u);
    const token = offered.find((name) => name.startsWith(TOKEN_PROTOCOL))?.slice(TOKEN_PROTOCOL.length);
    const alive = (): boolean => this.#options.holdsToken(request, token);
    if (!offered.includes(PROTOCOL) || !alive()) return refuse(socket, 401);
    if (this.#sockets.clients.size >= MAX_CLIENTS) return refuse(socket, 503);
    this.#sockets.handleUpgrade(request, socket, head, (client) => {
      // From the first moment: a refused frame is an error event besides the close, and one that nobody hears ends the process.
      client.on('error', () => undefined);
      const asked = new URLSearchParams(query);
      const { closeSlowAfterMs } = this.#options;
      const options = {
        after: Number(asked.get('after') ?? Number.NaN),
        epoch: asked.get('epoch') ?? '',
        alive,
        ...(closeSlowAfterMs !== undefined && { closeAfterMs: closeSlowAfterMs }),
      };
      this.#options.manager.then(
        (manager) => serveEvents(client, manager, options),
        () => client.close(closeCodes.noManager, 'the manager did not start'),
      );
    });
  }

  close(): void {
    for (const client of this.#sockets.clients) client.terminate();
    this.#sockets.close();
  }
}

function refuse(socket: Duplex, status: number): void {
  // A peer that keeps its half open would keep the socket.
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${String(status)} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
