// SPDX-License-Identifier: Apache-2.0
/** Reads a running migration. Pure. */
import type { MigrateReply } from '../machines/replies.ts';
import type { MigrationSample } from './types.ts';

/** How an outgoing migration can end. */
export const FINAL_STATUSES = ['completed', 'failed', 'cancelled'] as const;
export type FinalStatus = (typeof FINAL_STATUSES)[number];

export function finalStatus(info: MigrateReply): FinalStatus | undefined {
  return FINAL_STATUSES.find((status) => status === info.status);
}

/** One sample for a picture; undefined while `query-migrate` has no numbers yet. */
export function sampleOf(info: MigrateReply, downtimeLimitMs: number): MigrationSample | undefined {
  if (info.status === undefined || info.ram === undefined) return undefined;
  return {
    status: info.status,
    pass: info.ram['dirty-sync-count'],
    transferredBytes: info.ram.transferred,
    remainingBytes: info.ram.remaining,
    totalBytes: info.ram.total,
    throughput: (info.ram.mbps * 1e6) / 8,
    dirtyBytesPerSecond: info.ram['dirty-pages-rate'] * info.ram['page-size'],
    downtimeLimitMs,
  };
}

/** Part of memory that pass 1 has dealt with, 0 to 1; undefined from pass 2 on, where a percentage would run backwards. */
export function passOneProgress(sample: MigrationSample): number | undefined {
  if (sample.pass > 1 || sample.totalBytes === 0) return undefined;
  return Math.min(1, Math.max(0, 1 - sample.remainingBytes / sample.totalBytes));
}

/**
 * How many times more is left than what fits into the downtime limit at the present throughput; 1 or less: the guest
 * can be switched over. Undefined before throughput is known.
 */
export function distanceToSwitchover(sample: MigrationSample): number | undefined {
  const fits = (sample.throughput * sample.downtimeLimitMs) / 1000;
  return fits > 0 ? sample.remainingBytes / fits : undefined;
}

/** Notices a migration that moves nothing. */
export class ProgressWatchdog {
  readonly #limitMs: number;
  #signature = '';
  #since = 0;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** Whether nothing has changed for longer than the limit. `at`: monotonic milliseconds. */
  isStuck(info: MigrateReply, at: number): boolean {
    const signature = `${info.status ?? ''} ${String(info.ram?.transferred)} ${String(info.ram?.['dirty-sync-count'])}`;
    if (signature !== this.#signature) {
      this.#signature = signature;
      this.#since = at;
    }
    return at - this.#since > this.#limitMs;
  }
}

/** The URI of the address on which a destination says it listens (`socket-address` of `query-migrate`). */
export function listeningUri(info: MigrateReply): string | undefined {
  const [address] = info['socket-address'] ?? [];
  if (address?.type === 'unix' && address.path !== undefined) return `unix:${address.path}`;
  if (address?.type === 'inet' && address.host !== undefined && address.port !== undefined) {
    const host = address.host.includes(':') ? `[${address.host}]` : address.host;
    return `tcp:${host}:${address.port}`;
  }
  // The kernel's "any" is no address to connect to: whoever listens there has to be told its context id by hand.
  if (address?.type === 'vsock' && address.cid !== undefined && address.cid !== VSOCK_ANY && address.port !== undefined)
    return `vsock:${address.cid}:${address.port}`;
  return undefined;
}

/** VMADDR_CID_ANY of vsock(7). */
const VSOCK_ANY = '4294967295';
