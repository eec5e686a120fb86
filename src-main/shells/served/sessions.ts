// SPDX-License-Identifier: Apache-2.0
/** Who may come in: single-use start links, sessions behind a cookie, and tokens that only a page of ours holds. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

export const START_LINK_SECONDS = 60;
/** A session that nobody used for so long has ended. */
const IDLE_MS = 12 * 3_600_000;
/** Each page load gets a token of its own; older ones of a session go. */
const TOKENS_OF_A_SESSION = 16;
const MAX_SESSIONS = 64;
const SECRET_BYTES = 32;

interface Session {
  lastUse: number;
  readonly tokens: Buffer[];
}

/** Only hashes are held: comparing them tells nothing of the secret, whatever the length of what was sent. */
const hash = (secret: string): Buffer => createHash('sha256').update(secret).digest();
const newSecret = (): string => randomBytes(SECRET_BYTES).toString('base64url');

export class Sessions {
  readonly #now: () => number;
  #links: { readonly hash: Buffer; readonly expires: number }[] = [];
  readonly #sessions = new Map<string, Session>();

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The secret of a new start link: good once, and for a minute. */
  newStartLink(): string {
    const secret = newSecret();
    const now = this.#now();
    this.#links = this.#links.filter(({ expires }) => expires >= now);
    this.#links.push({ hash: hash(secret), expires: now + START_LINK_SECONDS * 1000 });
    return secret;
  }

  /** Takes a start link and answers the secret of a new session; null for one that is used, too old or unknown. */
  redeem(link: string): string | null {
    const wanted = hash(link);
    const now = this.#now();
    let found = false;
    // All are compared, and what is over goes.
    for (const held of this.#links.splice(0)) {
      const same = timingSafeEqual(held.hash, wanted);
      if (same && held.expires >= now) found = true;
      else if (!same && held.expires >= now) this.#links.push(held);
    }
    return found ? this.open() : null;
  }

  /** A new session's secret, for its cookie. */
  open(): string {
    const secret = newSecret();
    this.#sessions.set(hash(secret).toString('hex'), { lastUse: this.#now(), tokens: [] });
    if (this.#sessions.size > MAX_SESSIONS) this.#dropOldest();
    return secret;
  }

  /** Whether the cookie's secret is that of a session; a use keeps it alive. */
  holds(secret: string | undefined): boolean {
    return this.#session(secret) !== undefined;
  }

  /** A token for a page of this session; null without a session. */
  newToken(secret: string | undefined): string | null {
    const session = this.#session(secret);
    if (session === undefined) return null;
    const token = newSecret();
    session.tokens.push(hash(token));
    if (session.tokens.length > TOKENS_OF_A_SESSION) session.tokens.shift();
    return token;
  }

  /** Whether the token is one of this session. */
  holdsToken(secret: string | undefined, token: string | undefined): boolean {
    const session = this.#session(secret);
    if (session === undefined || token === undefined) return false;
    const wanted = hash(token);
    return session.tokens.filter((held) => timingSafeEqual(held, wanted)).length === 1;
  }

  #session(secret: string | undefined): Session | undefined {
    if (secret === undefined) return undefined;
    const key = hash(secret).toString('hex');
    const session = this.#sessions.get(key);
    if (session === undefined) return undefined;
    const now = this.#now();
    if (now - session.lastUse > IDLE_MS) {
      this.#sessions.delete(key);
      return undefined;
    }
    session.lastUse = now;
    return session;
  }

  #dropOldest(): void {
    const [oldest] = [...this.#sessions].sort(([, a], [, b]) => a.lastUse - b.lastUse);
    if (oldest !== undefined) this.#sessions.delete(oldest[0]);
  }
}
