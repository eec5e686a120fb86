// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import { SAMPLE_INTERVAL_MS } from '../deadlines.ts';
import { finalStatus } from '../demo/migration-watch.ts';
import type { HandOver } from '../hand-over.ts';
import type { MachineLink } from '../machines/link.ts';

export type Saved = { readonly guest: 'saved' } | Extract<HandOver, { readonly guest: 'stayed' }>;

/** Watches a migration to a file until the guest is in it, or stays. Nobody is at the other end: the source alone knows. */
export async function untilSaved(source: MachineLink, signal: AbortSignal): Promise<Saved> {
  for (;;) {
    const { info } = await source.migration();
    const status = finalStatus(info);
    if (status === 'completed') return { guest: 'saved' };
    if (status !== undefined) return { guest: 'stayed', status, reason: info['error-desc'] ?? `it ended ${status}` };
    await sleep(SAMPLE_INTERVAL_MS, undefined, { signal });
  }
}
