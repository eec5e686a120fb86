// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { plainText } from '../../../src-shared/plain-text.ts';
import { deadlines, SAMPLE_INTERVAL_MS } from '../deadlines.ts';
import type { MachineLink } from '../machines/link.ts';
import { finalStatus } from './migration-watch.ts';

/** Cancels the source's migration and waits for its word. Answers what came of it, as a sentence; never rejects. */
export async function cancelMigration(source: MachineLink): Promise<string> {
  try {
    await source.execute('migrate_cancel');
    const began = performance.now();
    for (;;) {
      const { info } = await source.migration();
      const ended = finalStatus(info);
      if (ended === 'completed') return 'cancelled; the migration had completed and the guest had moved';
      if (ended !== undefined) return `cancelled; the guest was ${plainText(await source.runState())} on the source`;
      if (performance.now() - began > deadlines.cancel) return 'cancelled; the source did not confirm it in time';
      await sleep(SAMPLE_INTERVAL_MS / 5);
    }
  } catch {
    return 'cancelled; the source was gone already';
  }
}
