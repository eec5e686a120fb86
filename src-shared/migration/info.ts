// SPDX-License-Identifier: Apache-2.0
/** The reply of `query-migrate` in QEMU's field names and units, and which fields it has in which status (as 8.2). */
import type { MigrationSide, MigrationStatus } from './status.ts';
import type { Uint64 } from './uint64.ts';

/** The member `ram`: what went over the wire and what is left. Bytes unless said otherwise. */
export type MigrationStats = {
  /** Everything on the wire, headers and device state included. */
  readonly transferred: Uint64;
  /** RAM that is still to be sent; 0 once completed. */
  readonly remaining: Uint64;
  /** Size of all RAM that moves. */
  readonly total: Uint64;
  /** Pages sent as "all bytes are the same" (zero pages). */
  readonly duplicate: Uint64;
  /** Always 0; QEMU dropped it in 9.0. */
  readonly skipped: Uint64;
  /** Pages sent whole. */
  readonly normal: Uint64;
  readonly 'normal-bytes': Uint64;
  /** Pages per second newly dirtied between the last two syncs that were at least 1 s apart; 0 once completed. */
  readonly 'dirty-pages-rate': Uint64;
  /** 10^6 bit/s of the last window of 100 ms; of the whole transfer once completed. */
  readonly mbps: number;
  /** Reads of the dirty log so far. */
  readonly 'dirty-sync-count': Uint64;
  /** Pages that the destination asked for. */
  readonly 'postcopy-requests': Uint64;
  readonly 'page-size': Uint64;
  readonly 'multifd-bytes': Uint64;
  readonly 'pages-per-second': Uint64;
  readonly 'precopy-bytes': Uint64;
  readonly 'downtime-bytes': Uint64;
  readonly 'postcopy-bytes': Uint64;
  readonly 'dirty-sync-missed-zero-copy': Uint64;
};

export type XbzrleCacheStats = {
  /** Bytes. */
  readonly 'cache-size': Uint64;
  readonly bytes: Uint64;
  readonly pages: Uint64;
  readonly 'cache-miss': Uint64;
  /** Misses per page looked up. */
  readonly 'cache-miss-rate': number;
  readonly 'encoding-rate': number;
  readonly overflow: Uint64;
};

/** Where a destination listens, as `query-migrate` shows it. */
export type SocketAddress =
  | {
      readonly type: 'inet';
      readonly host: string;
      readonly port: string;
      readonly ipv4?: boolean;
      readonly ipv6?: boolean;
    }
  | { readonly type: 'unix'; readonly path: string }
  | { readonly type: 'vsock'; readonly cid: string; readonly port: string };

/** All that one side may know; {@link fillInfo} keeps what belongs into the reply. */
export type MigrationFacts = {
  /** Milliseconds from `migrate` to the first pass. */
  readonly 'setup-time'?: Uint64;
  /** Milliseconds since `migrate`; frozen at the end. */
  readonly 'total-time'?: Uint64;
  /** Milliseconds that a switchover now would stop the guest. */
  readonly 'expected-downtime'?: Uint64;
  /** Milliseconds that the guest was stopped. */
  readonly downtime?: Uint64;
  readonly ram?: MigrationStats;
  readonly 'xbzrle-cache'?: XbzrleCacheStats;
  /** Percent; only while throttling is on. */
  readonly 'cpu-throttle-percentage'?: number;
  /** Microseconds; only while dirty-limit works. */
  readonly 'dirty-limit-throttle-time-per-round'?: Uint64;
  readonly 'dirty-limit-ring-full-time'?: Uint64;
  readonly 'error-desc'?: string;
  /** Shown in every status while there is a blocker, also in an otherwise empty reply. */
  readonly 'blocked-reasons'?: readonly string[];
  readonly 'socket-address'?: readonly SocketAddress[];
  /** Milliseconds that vCPUs waited for pages. */
  readonly 'postcopy-blocktime'?: number;
  readonly 'postcopy-vcpu-blocktime'?: readonly number[];
};

/** The reply of `query-migrate`. */
export type MigrationInfo = MigrationFacts & { readonly status?: MigrationStatus };

type Fact = keyof MigrationFacts;

const PROGRESS: readonly Fact[] = [
  'setup-time',
  'total-time',
  'expected-downtime',
  'ram',
  'xbzrle-cache',
  'cpu-throttle-percentage',
  'dirty-limit-throttle-time-per-round',
  'dirty-limit-ring-full-time',
  'error-desc',
];
const POSTCOPY: readonly Fact[] = [...PROGRESS.filter((fact) => fact !== 'expected-downtime'), 'downtime'];

/** Facts that a source shows in each status, besides the status itself. */
export const SOURCE_FACTS: Readonly<Record<MigrationStatus, readonly Fact[]>> = {
  none: [],
  setup: [],
  active: PROGRESS,
  cancelling: PROGRESS,
  'pre-switchover': PROGRESS,
  device: PROGRESS,
  'postcopy-active': POSTCOPY,
  'postcopy-paused': POSTCOPY,
  'postcopy-recover-setup': POSTCOPY,
  'postcopy-recover': POSTCOPY,
  completed: ['setup-time', 'total-time', 'downtime', 'ram', 'xbzrle-cache'],
  failed: ['error-desc'],
  cancelled: ['error-desc'],
  colo: [],
  'wait-unplug': [],
};

const LISTENING: readonly Fact[] = ['socket-address'];

/** Facts that a destination shows in each status, besides the status itself. */
export const DESTINATION_FACTS: Readonly<Record<MigrationStatus, readonly Fact[]>> = {
  none: [],
  setup: LISTENING,
  active: LISTENING,
  'postcopy-active': LISTENING,
  'postcopy-paused': LISTENING,
  'postcopy-recover-setup': LISTENING,
  'postcopy-recover': LISTENING,
  completed: ['postcopy-blocktime', 'postcopy-vcpu-blocktime'],
  failed: ['error-desc'],
  // A destination never says the rest.
  cancelling: [],
  cancelled: [],
  'pre-switchover': [],
  device: [],
  colo: [],
  'wait-unplug': [],
};

/** One side's view: exactly the fields of the table for this status, as far as the facts are known. */
export function fillInfo(side: MigrationSide, status: MigrationStatus, facts: MigrationFacts): MigrationInfo {
  const table = side === 'source' ? SOURCE_FACTS : DESTINATION_FACTS;
  const shown: readonly Fact[] = [...table[status], 'blocked-reasons'];
  const info = Object.fromEntries(shown.filter((fact) => !isAbsent(facts[fact])).map((fact) => [fact, facts[fact]]));
  return status === 'none' ? info : { status, ...info };
}

/** The reply of a process: the destination's view overlaid by the source's. */
export function overlayInfo(destination: MigrationInfo, source: MigrationInfo): MigrationInfo {
  return { ...destination, ...source };
}

/** An empty list of blockers or addresses is left out, as an unknown fact is. */
function isAbsent(fact: MigrationFacts[Fact]): boolean {
  return fact === undefined || (Array.isArray(fact) && fact.length === 0);
}
