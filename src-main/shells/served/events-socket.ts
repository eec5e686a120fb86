// SPDX-License-Identifier: Apache-2.0
/** One client's connection for events: what it missed, what comes, and no more than it takes. */
import type { WebSocket } from 'ws';
import type { EventEnvelope } from '../../../src-shared/contract.ts';
import type { Manager } from '../../manager/manager.ts';

/** Beyond this a picture of a run is skipped: the next one shows more. */
const SKIP_ABOVE_BYTES = 1024 ** 2;
/** Beyond this the client is not following any more. */
const CLOSE_ABOVE_BYTES = 8 * 1024 ** 2;
/** How long a client may be behind. */
const CLOSE_AFTER_MS = 30_000;
const CLOSE_SLOW = 4408;
export const MAX_CLIENT_FRAME = 1024;
const NOTICES_KEPT = 5;

/** Events of which the latest makes those before it needless. */
const SKIPPABLE: readonly string[] = ['run.sample', 'run.changed'];

export interface EventsSocketOptions {
  readonly after: number;
  readonly epoch: string;
  /** For tests. */
  readonly closeAfterMs?: number;
}

/** Serves the socket until it closes. */
export function serveEvents(socket: WebSocket, manager: Manager, options: EventsSocketOptions): void {
  const { after, epoch, closeAfterMs = CLOSE_AFTER_MS } = options;
  /** Events that were skipped, the latest of each run and kind. */
  const skipped = new Map<string, EventEnvelope>();
  let behindSince: number | undefined;

  const send = (message: unknown): void => socket.send(JSON.stringify(message), onSent);
  const onSent = (): void => {
    if (socket.bufferedAmount > SKIP_ABOVE_BYTES) return;
    behindSince = undefined;
    const late = [...skipped.values()].sort((a, b) => a.seq - b.seq);
    skipped.clear();
    for (const event of late) send(event);
  };
  const push = (event: EventEnvelope): void => {
    if (socket.readyState !== socket.OPEN) return;
    const { bufferedAmount } = socket;
    if (bufferedAmount > SKIP_ABOVE_BYTES) behindSince ??= performance.now();
    const tooLate = behindSince !== undefined && performance.now() - behindSince > closeAfterMs;
    if (bufferedAmount > CLOSE_ABOVE_BYTES || tooLate) {
      socket.close(CLOSE_SLOW, 'too slow');
      socket.terminate();
      return;
    }
    if (bufferedAmount > SKIP_ABOVE_BYTES && SKIPPABLE.includes(event.name)) skipped.set(keyOf(event), event);
    else send(event);
  };

  const off = manager.onEvent(push);
  socket.on('close', off);
  socket.on('error', () => socket.terminate());
  socket.on('message', (_data, isBinary) => {
    // Clients have nothing to say here but that they are alive.
    if (isBinary) socket.close(1003, 'text only');
  });

  send({ hello: { epoch: manager.epoch, seq: manager.seq } });
  const missed = epoch === manager.epoch ? manager.replay(after) : null;
  if (missed === null) send({ gap: true });
  for (const event of missed ?? lastNotices(manager)) send(event);
}

/** What was told before anybody was there to hear it: that the app had ended in the middle of a run, say. */
function lastNotices(manager: Manager): readonly EventEnvelope[] {
  return (manager.replay(0) ?? []).filter(({ name }) => name === 'notice').slice(-NOTICES_KEPT);
}

function keyOf(event: EventEnvelope): string {
  if (event.name === 'run.sample') return `sample ${event.data.runId}`;
  return event.name === 'run.changed' ? `run ${event.data.id}` : String(event.seq);
}
