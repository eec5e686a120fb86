// SPDX-License-Identifier: Apache-2.0
/** The words of QEMU for where a migration stands and what a guest is doing. */

/** Where a migration stands, in QEMU's order. `postcopy-recover-setup` is only ever said by releases from 9.1 on. */
export const MIGRATION_STATUSES = [
  'none',
  'setup',
  'cancelling',
  'cancelled',
  'active',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
  'completed',
  'failed',
  'colo',
  'pre-switchover',
  'device',
  'wait-unplug',
] as const;

export type MigrationStatus = (typeof MIGRATION_STATUSES)[number];

/** What the guest of a machine is doing, in QEMU's order (`query-status`). */
export const RUN_STATES = [
  'debug',
  'inmigrate',
  'internal-error',
  'io-error',
  'paused',
  'postmigrate',
  'prelaunch',
  'finish-migrate',
  'restore-vm',
  'running',
  'save-vm',
  'shutdown',
  'suspended',
  'watchdog',
  'guest-panicked',
  'colo',
] as const;

export type RunState = (typeof RUN_STATES)[number];

/** The end of a migration that a process is. */
export type MigrationSide = 'source' | 'destination';

/** What a second `migrate`, and any change of capabilities, answers while {@link isRunningStatus} holds. */
export const MIGRATION_IN_PROGRESS = "There's a migration process in progress";

const RUNNING: ReadonlySet<MigrationStatus> = new Set([
  'setup',
  'cancelling',
  'active',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
  'pre-switchover',
  'device',
  'wait-unplug',
]);

const POSTCOPY: ReadonlySet<MigrationStatus> = new Set([
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
]);

const ENDED: ReadonlySet<MigrationStatus> = new Set(['completed', 'failed', 'cancelled']);

export function isMigrationStatus(text: string): text is MigrationStatus {
  return (MIGRATION_STATUSES as readonly string[]).includes(text);
}

export function isRunState(text: string): text is RunState {
  return (RUN_STATES as readonly string[]).includes(text);
}

/** A migration of this status is under way: it blocks a second `migrate` and changes of capabilities. `colo` does not. */
export function isRunningStatus(status: MigrationStatus): boolean {
  return RUNNING.has(status);
}

/** The destination may own the guest: neither a cancel nor a failure gives it back to the source. */
export function isPostcopyStatus(status: MigrationStatus): boolean {
  return POSTCOPY.has(status);
}

/** This attempt is over; only another `migrate` leaves the status. */
export function isEndStatus(status: MigrationStatus): boolean {
  return ENDED.has(status);
}
