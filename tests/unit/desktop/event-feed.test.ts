// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import type { EventEnvelope } from '../../../src-shared/contract.ts';
import type { FeedMessage } from '../../../src-shared/desktop-bridge.ts';
import { EventFeed } from '../../../src-main/shells/electron/event-feed.ts';

let sent: FeedMessage[];
let feed: EventFeed;
beforeEach(() => {
  sent = [];
  feed = new EventFeed((message) => sent.push(message));
});

const event = (seq: number): EventEnvelope => ({
  epoch: 'e',
  seq,
  name: 'notice',
  data: { level: 'info', text: String(seq) },
});
const push = (from: number, count: number): void => {
  for (let seq = from; seq < from + count; seq += 1) feed.push(event(seq));
};

describe('what a page is told', () => {
  it('is nothing before it listens, nor after it is gone', () => {
    push(1, 3);
    expect(feed.show('/runs')).toBe(false);
    feed.follow();
    feed.stop();
    push(4, 3);
    expect(sent).toEqual([]);
  });

  it('is every event in order while it keeps up', () => {
    feed.follow();
    for (let seq = 1; seq <= 5000; seq += 1) {
      feed.push(event(seq));
      feed.taken(seq);
    }
    expect(sent).toEqual(Array.from({ length: 5000 }, (_, index) => ({ kind: 'event', event: event(index + 1) })));
  });

  it('ends where it hangs, and goes on with a gap once it has taken all', () => {
    feed.follow();
    push(1, 100_000);
    const most = sent.length;
    expect(most).toBeLessThan(1000);
    feed.taken(most - 1);
    expect(sent.length).toBe(most);
    feed.taken(most);
    expect(sent.at(-1)).toEqual({ kind: 'gap' });
    push(200_000, 1);
    expect(sent.at(-1)).toEqual({ kind: 'event', event: event(200_000) });
  });

  it.each([-1, 0, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 10_000])(
    'is not changed by a page that says it took %d',
    (count) => {
      feed.follow();
      push(1, 100_000);
      const most = sent.length;
      feed.taken(count);
      push(1, 10);
      expect(sent.length).toBe(most);
    },
  );

  it('begins anew with a page that is loaded again', () => {
    feed.follow();
    push(1, 100_000);
    feed.follow();
    const before = sent.length;
    push(1, 10);
    expect(sent.length).toBe(before + 10);
  });
});
