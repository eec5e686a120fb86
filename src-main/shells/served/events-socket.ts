// SPDX-License-Identifier: Apache-2.0
/** One client's connection for events: what it missed, what comes, and no more than it takes. */
import type { WebSocket } from 'ws';
import type { EventEnvelope } from '../../../src-shared/contract.ts';
import type { Manager } from '../../manager/manager.ts';
import { lastNotices } from '../last-notices.ts';
import { Backlog } from './backlog.ts';

/** What is handed to the socket unread; beyond it events wait here, where a newer picture replaces an older one. */
const WAIT_ABOVE_BYTES = 1024 ** 2;
/** Beyond this the client is not following any more. */
const CLOSE_ABOVE_BYTES = 8 * 1024 ** 2;
/** How long a client may be behind. */
const CLOSE_AFTER_MS = 30_000;
/** How long a client has to take the close frame. */
const LAST_WORDS_MS = 2000;
/** The largest frame that a client may send; ws closes with 1009 beyond it. */
export const MAX_CLIENT_FRAME = 1024;

export const closeCodes = {
  textOnly: 1003,
  noManager: 1011,
  /** The session has ended: a new start link is needed. */
  noSession: 4401,
  /** The client fell behind: it connects anew and resynchronises. */
  slow: 4408,
} as const;

export interface EventsSocketOptions {
  /** The last event that the client saw; NaN for none. */
  readonly after: number;
  /** The life of the manager in which it saw it. */
  readonly epoch: string;
  /** Called when the client says that it is there; answers whether its session still is. */
  readonly alive?: () => boolean;
  /** For tests. */
  readonly closeAfterMs?: number;
}

/** Serves the socket until it closes. */
export function serveEvents(socket: WebSocket, manager: Manager, options: EventsSocketOptions): void {
  if (socket.readyState !== socket.OPEN) return;
  const { after, epoch, alive = () => true, closeAfterMs = CLOSE_AFTER_MS } = options;
  const backlog = new Backlog();
  let behind: NodeJS.Timeout | undefined;

  const write = (text: string): void => socket.send(text, onWritten);
  const onWritten = (): void => {
    while (socket.readyState === socket.OPEN && socket.bufferedAmount <= WAIT_ABOVE_BYTES) {
      const text = backlog.shift();
      if (text === undefined) {
        clearTimeout(behind);
        behind = undefined;
        return;
      }
      write(text);
    }
  };
  const push = (event: EventEnvelope): void => {
    if (socket.readyState !== socket.OPEN) return;
    if (backlog.size === 0 && socket.bufferedAmount <= WAIT_ABOVE_BYTES) return write(JSON.stringify(event));
    backlog.add(event);
    behind ??= setTimeout(() => end(closeCodes.slow, 'too slow'), closeAfterMs).unref();
    if (socket.bufferedAmount + backlog.bytes > CLOSE_ABOVE_BYTES) end(closeCodes.slow, 'too slow');
  };
  const end = (code: number, reason: string): void => {
    stop();
    socket.close(code, reason);
    // A client that does not read does not read this either.
    setTimeout(() => socket.terminate(), LAST_WORDS_MS).unref();
  };
  const off = manager.onEvent(push);
  const stop = (): void => {
    off();
    clearTimeout(behind);
    backlog.clear();
  };

  socket.on('close', stop);
  socket.on('message', (_data, isBinary) => {
    // Clients have nothing to say here but that they are there.
    if (isBinary) end(closeCodes.textOnly, 'text only');
    else if (!alive()) end(closeCodes.noSession, 'the session has ended');
  });

  write(JSON.stringify({ hello: { epoch: manager.epoch, seq: manager.seq } }));
  const isKnown = epoch === manager.epoch;
  const missed = isKnown ? manager.replay(after) : null;
  if (missed !== null && isSendable(missed)) {
    for (const event of missed) push(event);
  } else {
    write(JSON.stringify({ gap: true }));
    for (const event of lastNotices(manager, isKnown && after >= 0 ? after : 0)) push(event);
  }
}

/** Else a client that is closed as too slow would come again only to be closed again. */
function isSendable(missed: readonly EventEnvelope[]): boolean {
  const all = new Backlog();
  for (const event of missed) all.add(event);
  return all.bytes <= CLOSE_ABOVE_BYTES / 2;
}
