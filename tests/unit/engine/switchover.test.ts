// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { SwitchoverEstimate } from '../../../src-main/machine/engine/switchover.ts';

const parameters = { downtimeLimitMs: 300, availSwitchoverBandwidth: 0 };

describe('the switchover estimate', () => {
  it('lets only an empty bitmap end the copy before the first window', () => {
    const estimate = new SwitchoverEstimate();
    expect(estimate.reached(0)).toBe(true);
    expect(estimate.reached(4096)).toBe(false);
    expect(estimate.worthCounting(0)).toBe(true);
    expect(estimate.worthCounting(4096)).toBe(false);
  });

  it('allows as many bytes as the measured bandwidth carries in the downtime limit', () => {
    const estimate = new SwitchoverEstimate();
    estimate.update({ bytes: 100_000_000, ms: 100 }, parameters, 0);
    expect(estimate.bandwidth).toBe(1_000_000);
    expect(estimate.thresholdBytes).toBe(300_000_000);
    expect(estimate.reached(299_999_999)).toBe(true);
    expect(estimate.reached(300_000_000)).toBe(false);
  });

  it('prefers the bandwidth that the user promises for the switchover', () => {
    const estimate = new SwitchoverEstimate();
    estimate.update(
      { bytes: 1_000_000, ms: 100 },
      { downtimeLimitMs: 300, availSwitchoverBandwidth: 5_000_000_000 },
      0,
    );
    expect(estimate.thresholdBytes).toBe(1_500_000_000);
  });

  it('completes only with nothing left when no downtime is allowed', () => {
    const estimate = new SwitchoverEstimate();
    estimate.update({ bytes: 100_000_000, ms: 100 }, { downtimeLimitMs: 0, availSwitchoverBandwidth: 0 }, 0);
    expect(estimate.reached(1)).toBe(false);
    expect(estimate.reached(0)).toBe(true);
  });

  it('computes the expected downtime only from a window that carried something and a sync that found something', () => {
    const estimate = new SwitchoverEstimate();
    estimate.update({ bytes: 5_000, ms: 100 }, parameters, 4096);
    expect(estimate.expectedDowntimeMs).toBeUndefined();
    estimate.update({ bytes: 1_000_000, ms: 100 }, parameters, 0);
    expect(estimate.expectedDowntimeMs).toBeUndefined();
    estimate.update({ bytes: 1_000_000, ms: 100 }, parameters, 2_000_000);
    expect(estimate.expectedDowntimeMs).toBe(200);
  });

  describe('once the rest fits the downtime limit', () => {
    /** 1 MB/ms, so 300 MB fit into 300 ms; the guest dirties `dirtyRate` bytes a millisecond. */
    const measured = (dirtyRate: number): SwitchoverEstimate => {
      const estimate = new SwitchoverEstimate();
      estimate.update({ bytes: 100_000_000, ms: 100 }, parameters, 0);
      estimate.addSync(0, 0);
      estimate.addSync(100, dirtyRate * 100);
      return estimate;
    };

    it('goes on copying while each pass at least halves what is left', () => {
      expect(measured(400_000).decide(100_000_000, 100, 300)).toBe('copy');
    });

    it('stops the guest at once when another pass would not pay', () => {
      expect(measured(600_000).decide(100_000_000, 100, 300)).toBe('switch-over');
    });

    it('stops the guest when the pause has become too short to matter', () => {
      expect(measured(0).decide(10_000_000, 100, 300)).toBe('switch-over');
    });

    it('spends at most twice the limit on a shorter pause, and at most two seconds', () => {
      const usual = measured(0);
      expect(usual.decide(100_000_000, 1_000, 300)).toBe('copy');
      expect(usual.decide(100_000_000, 1_599, 300)).toBe('copy');
      expect(usual.decide(100_000_000, 1_600, 300)).toBe('switch-over');
      const forced = measured(0);
      expect(forced.decide(100_000_000, 1_000, 60_000)).toBe('copy');
      expect(forced.decide(100_000_000, 3_000, 60_000)).toBe('switch-over');
    });

    it('starts that time anew when the guest has outrun the limit in between', () => {
      const estimate = measured(0);
      expect(estimate.decide(100_000_000, 0, 300)).toBe('copy');
      expect(estimate.decide(400_000_000, 500, 300)).toBe('copy');
      expect(estimate.decide(100_000_000, 700, 300)).toBe('copy');
    });
  });
});
