// SPDX-License-Identifier: Apache-2.0
import type { EventEnvelope } from '../../src-shared/contract.ts';
import type { Manager } from '../manager/manager.ts';

const NOTICES_KEPT = 5;

/** What was told after event `after`, maybe before anybody was there to hear it: that the app had ended in the middle of a run, say. */
export function lastNotices(manager: Manager, after: number): readonly EventEnvelope[] {
  const held = manager.replay(0) ?? manager.replay(after) ?? [];
  return held.filter(({ name, seq }) => name === 'notice' && seq > after).slice(-NOTICES_KEPT);
}
