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
    estimate.update({ bytes: 1_000_000, ms: 100 }, { downtimeLimitMs: 300, availSwitchoverBandwidth: 5_000_000_000 }, 0);
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
});
