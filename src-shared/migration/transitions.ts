// SPDX-License-Identifier: Apache-2.0
/** Which status of a migration may follow which: one table for each side. Runners and tests read the same rows. */
import type { MigrationSide, MigrationStatus } from './status.ts';

export interface Transition {
  readonly from: MigrationStatus;
  readonly to: MigrationStatus;
  readonly cause: string;
  /**
   * Only a stock QEMU does this (an older or newer release, or what Godwit refuses): an observer has to expect it, our
   * own runners never take it.
   */
  readonly stockOnly?: true;
}

export const SOURCE_TRANSITIONS: readonly Transition[] = [
  { from: 'none', to: 'setup', cause: 'migrate accepted' },
  { from: 'completed', to: 'setup', cause: 'migrate accepted, after cont' },
  { from: 'failed', to: 'setup', cause: 'migrate accepted again' },
  { from: 'cancelled', to: 'setup', cause: 'migrate accepted again' },
  { from: 'setup', to: 'failed', cause: 'connecting or setting up failed' },
  { from: 'setup', to: 'wait-unplug', cause: 'a failover primary is still plugged' },
  { from: 'wait-unplug', to: 'active', cause: 'unplug done' },
  { from: 'setup', to: 'active', cause: 'header and setup sections sent' },

  { from: 'setup', to: 'cancelling', cause: 'migrate_cancel or quit' },
  { from: 'active', to: 'cancelling', cause: 'migrate_cancel or quit' },
  { from: 'wait-unplug', to: 'cancelling', cause: 'migrate_cancel or quit' },
  { from: 'pre-switchover', to: 'cancelling', cause: 'migrate_cancel or quit' },
  { from: 'device', to: 'cancelling', cause: 'migrate_cancel or quit' },
  { from: 'postcopy-active', to: 'cancelling', cause: 'migrate_cancel, up to 8.2', stockOnly: true },
  { from: 'postcopy-paused', to: 'cancelling', cause: 'migrate_cancel, up to 8.2', stockOnly: true },
  { from: 'postcopy-recover', to: 'cancelling', cause: 'migrate_cancel, up to 8.2', stockOnly: true },
  { from: 'setup', to: 'cancelled', cause: 'cancelled before it was connected, 10.0', stockOnly: true },
  { from: 'cancelling', to: 'cancelled', cause: 'everything stopped, channels closed' },
  { from: 'cancelling', to: 'completed', cause: 'one way, and the end of the state had just gone out' },

  { from: 'active', to: 'pre-switchover', cause: 'pause-before-switchover, guest stopped' },
  { from: 'pre-switchover', to: 'device', cause: 'migrate-continue' },
  { from: 'active', to: 'device', cause: 'guest stopped, 10.0', stockOnly: true },
  { from: 'active', to: 'completed', cause: 'everything sent and acknowledged' },
  { from: 'device', to: 'completed', cause: 'everything sent and acknowledged' },
  { from: 'active', to: 'failed', cause: 'stream, save or peer error' },
  { from: 'device', to: 'failed', cause: 'stream, save or peer error' },
  { from: 'active', to: 'colo', cause: 'x-colo, first state sent' },
  { from: 'colo', to: 'completed', cause: 'failover' },

  { from: 'active', to: 'postcopy-active', cause: 'migrate-start-postcopy taken' },
  { from: 'pre-switchover', to: 'postcopy-active', cause: 'migrate-start-postcopy taken' },
  { from: 'device', to: 'postcopy-active', cause: 'migrate-start-postcopy taken' },
  { from: 'postcopy-active', to: 'completed', cause: 'all pages sent' },
  { from: 'postcopy-active', to: 'postcopy-paused', cause: 'stream error, migrate-pause or yank' },
  { from: 'postcopy-active', to: 'failed', cause: 'error before the package was sent' },
  { from: 'postcopy-paused', to: 'postcopy-recover', cause: 'migrate resume, connected' },
  { from: 'postcopy-paused', to: 'postcopy-recover-setup', cause: 'migrate resume, 9.1', stockOnly: true },
  { from: 'postcopy-recover-setup', to: 'postcopy-recover', cause: 'connected, 9.1', stockOnly: true },
  { from: 'postcopy-recover-setup', to: 'postcopy-paused', cause: 'connecting failed, 9.1', stockOnly: true },
  { from: 'postcopy-recover', to: 'postcopy-active', cause: 'the destination acknowledged' },
  { from: 'postcopy-recover', to: 'postcopy-paused', cause: 'error during the handshake' },
];

export const DESTINATION_TRANSITIONS: readonly Transition[] = [
  { from: 'none', to: 'setup', cause: 'migrate-incoming accepted' },
  { from: 'setup', to: 'active', cause: 'all needed channels connected' },
  { from: 'setup', to: 'failed', cause: 'listening or the first bytes failed' },
  { from: 'failed', to: 'setup', cause: 'migrate-incoming again, on a process that outlived its failure' },
  { from: 'active', to: 'completed', cause: 'stream read' },
  { from: 'active', to: 'failed', cause: 'load error' },
  { from: 'active', to: 'colo', cause: 'first state loaded, x-colo' },
  { from: 'colo', to: 'completed', cause: 'failover' },
  { from: 'active', to: 'postcopy-active', cause: 'LISTEN received' },
  { from: 'postcopy-active', to: 'completed', cause: 'all pages in' },
  { from: 'postcopy-active', to: 'postcopy-paused', cause: 'stream error or migrate-pause' },
  { from: 'postcopy-paused', to: 'postcopy-recover', cause: 'source reconnected after migrate-recover' },
  { from: 'postcopy-recover', to: 'postcopy-active', cause: 'handshake done' },
  { from: 'postcopy-recover', to: 'postcopy-paused', cause: 'error during the handshake' },
  { from: 'postcopy-paused', to: 'setup', cause: 'migrate-recover listens, 7.2', stockOnly: true },
  { from: 'setup', to: 'postcopy-recover', cause: 'source reconnected, 7.2', stockOnly: true },
];

/** The table of one side. */
export function transitionsOf(side: MigrationSide): readonly Transition[] {
  return side === 'source' ? SOURCE_TRANSITIONS : DESTINATION_TRANSITIONS;
}

/** May our own runner of this side go from one status to the other? A status never follows itself. */
export function canTransition(side: MigrationSide, from: MigrationStatus, to: MigrationStatus): boolean {
  return transitionsOf(side).some((row) => row.from === from && row.to === to && row.stockOnly === undefined);
}

/** May a machine of any supported kind, stock QEMU 7.2 to 10 included, be seen to go from one status to the other? */
export function canObserve(side: MigrationSide, from: MigrationStatus, to: MigrationStatus): boolean {
  return transitionsOf(side).some((row) => row.from === from && row.to === to);
}
