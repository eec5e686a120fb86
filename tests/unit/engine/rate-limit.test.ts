// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { RateLimit, windowBudget, windowMs } from '../../../src-main/machine/engine/rate-limit.ts';

describe('the rate limit', () => {
  it('gives each window its share of a second and no limit for 0', () => {
    expect(windowBudget(10_000_000)).toBe((10_000_000 * windowMs) / 1000);
    expect(windowBudget(0)).toBe(Infinity);
  });

  it('counts within the window and starts afresh with the next, carrying nothing over', () => {
    let now = 0;
    const rate = new RateLimit(() => now);
    rate.account(700_000);
    expect(rate.remainingBytes(10_000_000)).toBe(300_000);
    rate.account(400_000);
    expect(rate.remainingBytes(10_000_000)).toBe(0);
    now = windowMs + 5;
    expect(rate.remainingMs()).toBe(0);
    expect(rate.startWindow()).toEqual({ bytes: 1_100_000, ms: windowMs + 5 });
    expect(rate.remainingBytes(10_000_000)).toBe(1_000_000);
  });

  it('lets a raised limit act within the window', () => {
    const rate = new RateLimit(() => 0);
    rate.account(1_000_000);
    expect(rate.remainingBytes(10_000_000)).toBe(0);
    expect(rate.remainingBytes(0)).toBe(Infinity);
  });

  it('ends its wait early when woken or aborted', async () => {
    const abort = new AbortController();
    const rate = new RateLimit(() => 0);
    const woken = rate.waitForWindowEnd(abort.signal);
    rate.wake();
    await woken;
    const aborted = rate.waitForWindowEnd(abort.signal);
    abort.abort();
    await aborted;
  });
});
