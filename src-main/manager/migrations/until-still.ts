// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { isMigrationStatus, isRunningStatus } from '../../../src-shared/migration/status.ts';
import { deadlines, SAMPLE_INTERVAL_MS } from '../deadlines.ts';
import type { MachineLink } from '../machines/link.ts';

/** Brings a source to rest: cancelled as long as it can be, else it ends by itself. Answers whether it rests. */
export async function untilStill(source: MachineLink): Promise<boolean> {
  await source.execute('migrate_cancel').catch(() => undefined);
  const until = performance.now() + deadlines.cancel;
  while (performance.now() < until) {
    const reply = await source.migration().catch(() => undefined);
    if (reply === undefined) return false; // it does not answer: whoever asks next says so
    const { status } = reply.info;
    if (status === undefined || !isMigrationStatus(status) || !isRunningStatus(status)) return true;
    await sleep(SAMPLE_INTERVAL_MS);
  }
  return false;
}
