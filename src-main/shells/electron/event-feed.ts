// SPDX-License-Identifier: Apache-2.0
/** What one page is told, in order, and no more than it takes: a page that hangs must not fill the memory. */
import type { EventEnvelope } from '../../../src-shared/contract.ts';
import type { FeedMessage } from '../../../src-shared/desktop-bridge.ts';

/** Messages that a page may be behind: half a minute of a busy run. */
const MOST_BEHIND = 600;

export class EventFeed {
  readonly #send: (message: FeedMessage) => void;
  #following = false;
  #sent = 0;
  #taken = 0;
  #missed = false;

  constructor(send: (message: FeedMessage) => void) {
    this.#send = send;
  }

  /** A page is there that listens; whatever an earlier one took does not count. */
  follow(): void {
    this.#following = true;
    this.#sent = 0;
    this.#taken = 0;
    this.#missed = false;
  }

  /** The page is gone. */
  stop(): void {
    this.#following = false;
  }

  push(event: EventEnvelope): void {
    if (!this.#following) return;
    if (this.#sent - this.#taken >= MOST_BEHIND) this.#missed = true;
    else this.#put({ kind: 'event', event });
  }

  /** Asks the page for a screen. Answers whether a page is there to be asked. */
  show(route: string): boolean {
    if (this.#following) this.#put({ kind: 'show', route });
    return this.#following;
  }

  /** The page has taken `count` messages since it follows. What it says is not trusted beyond what was sent. */
  taken(count: number): void {
    if (!Number.isSafeInteger(count) || count <= this.#taken || count > this.#sent) return;
    this.#taken = count;
    if (!this.#missed || this.#taken < this.#sent) return;
    this.#missed = false;
    this.#put({ kind: 'gap' });
  }

  #put(message: FeedMessage): void {
    this.#sent += 1;
    this.#send(message);
  }
}
