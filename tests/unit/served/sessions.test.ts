// SPDX-License-Identifier: Apache-2.0
/** Start links, sessions and tokens against a clock that the test moves. */
import { beforeEach, describe, expect, it } from 'vitest';
import { RateLimit } from '../../../src-main/shells/served/rate-limit.ts';
import { Sessions } from '../../../src-main/shells/served/sessions.ts';

let now: number;
let sessions: Sessions;
beforeEach(() => {
  now = 1000;
  sessions = new Sessions(() => now);
});

const HOUR = 3_600_000;

function opened(): string {
  const session = sessions.redeem(sessions.newStartLink());
  if (session === null) throw new Error('the link was not taken');
  return session;
}

describe('a start link', () => {
  it('opens one session and is then used', () => {
    const link = sessions.newStartLink();
    expect(sessions.redeem(link)).toMatch(/^[\w-]{43}$/u);
    expect(sessions.redeem(link)).toBeNull();
  });

  it('is good for a minute and not longer', () => {
    const [kept, late] = [sessions.newStartLink(), sessions.newStartLink()];
    now += 60_000;
    expect(sessions.redeem(kept)).not.toBeNull();
    now += 1;
    expect(sessions.redeem(late)).toBeNull();
  });

  it('leaves the other links as they are when it is used or guessed', () => {
    const [first, second] = [sessions.newStartLink(), sessions.newStartLink()];
    expect(sessions.redeem('guess')).toBeNull();
    expect(sessions.redeem(first)).not.toBeNull();
    expect(sessions.redeem(second)).not.toBeNull();
  });

  it('is no session, nor is a session a start link', () => {
    const link = sessions.newStartLink();
    expect(sessions.holds(link)).toBe(false);
    expect(sessions.redeem(opened())).toBeNull();
  });
});

describe('a session', () => {
  it('is kept alive by use and ends after 12 hours without any', () => {
    const session = opened();
    for (let day = 0; day < 3; day += 1) {
      now += 12 * HOUR;
      expect(sessions.holds(session)).toBe(true);
    }
    now += 12 * HOUR + 1;
    expect(sessions.holds(session)).toBe(false);
  });

  it('takes its tokens with it when it ends', () => {
    const session = opened();
    const token = sessions.newToken(session) ?? '';
    expect(sessions.holdsToken(session, token)).toBe(true);
    now += 12 * HOUR + 1;
    expect(sessions.holdsToken(session, token)).toBe(false);
  });

  it('does not take the token of another one', () => {
    const [mine, theirs] = [opened(), opened()];
    const token = sessions.newToken(theirs) ?? '';
    expect(sessions.holdsToken(mine, token)).toBe(false);
    expect(sessions.holdsToken(theirs, token)).toBe(true);
  });

  it('has no token for whoever does not hold it', () => {
    expect(sessions.newToken(undefined)).toBeNull();
    expect(sessions.newToken('guess')).toBeNull();
  });

  it('is the least recently used one that goes when there are too many', () => {
    const all = Array.from({ length: 64 }, () => {
      now += 1;
      return opened();
    });
    now += 1;
    const [first = '', second = ''] = all;
    expect(sessions.holds(first)).toBe(true);
    now += 1;
    opened();
    expect(sessions.holds(first)).toBe(true);
    expect(sessions.holds(second)).toBe(false);
  });
});

describe('a rate limit', () => {
  it('lets so many pass in any span of its length', () => {
    const limit = new RateLimit({ attempts: 2, perMs: 100 });
    expect([0, 50, 99, 101, 120, 151].map((at) => limit.take(at))).toEqual([true, true, false, true, false, true]);
  });
});
