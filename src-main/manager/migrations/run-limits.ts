// SPDX-License-Identifier: Apache-2.0
/** The limits of a run: as the source has them, and a change of them in words. */
import { z } from 'zod';
import type { MachineLink } from '../machines/link.ts';

export interface RunLimits {
  /** Bytes per second; 0: no limit. */
  readonly maxBandwidth: number;
  readonly downtimeLimitMs: number;
}

const count = z.union([z.number(), z.bigint()]).transform(Number);
const limitsReply = z.object({ 'max-bandwidth': count, 'downtime-limit': count });

export async function readLimits(source: MachineLink): Promise<RunLimits> {
  const reply = limitsReply.parse(await source.execute('query-migrate-parameters'));
  return { maxBandwidth: reply['max-bandwidth'], downtimeLimitMs: reply['downtime-limit'] };
}

/** `downtime-limit 150 → 300 ms`; empty where nothing changed. */
export function limitWords(before: RunLimits, after: RunLimits): string {
  const changes: string[] = [];
  if (before.downtimeLimitMs !== after.downtimeLimitMs) {
    changes.push(`downtime-limit ${before.downtimeLimitMs} → ${after.downtimeLimitMs} ms`);
  }
  if (before.maxBandwidth !== after.maxBandwidth) {
    changes.push(`max-bandwidth ${bandwidth(before.maxBandwidth)} → ${bandwidth(after.maxBandwidth)}`);
  }
  return changes.join(', ');
}

const bandwidth = (bytes: number): string => (bytes === 0 ? 'unlimited' : `${Math.round(bytes / 1024 ** 2)} MiB/s`);
