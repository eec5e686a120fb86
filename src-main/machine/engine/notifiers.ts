// SPDX-License-Identifier: Apache-2.0
/** Tells the parts of a machine when its guest is about to be moved, has left, or has stayed after all. */
import { MIGRATION_MODES, type MigrationMode } from '../../../src-shared/migration/parameters.ts';
import type { MigrationStatus } from '../../../src-shared/migration/status.ts';

/** `setup`: an attempt has begun. `done`: the guest has left. `failed`: it stayed, also after a cancel. */
export type MigrationNotice = 'setup' | 'done' | 'failed';

interface Listener {
  readonly modes: readonly MigrationMode[];
  readonly tell: (notice: MigrationNotice) => void;
}

/** What a change of the source's status means for the parts of its machine; most mean nothing. */
export function noticeOf(status: MigrationStatus): MigrationNotice | undefined {
  switch (status) {
    case 'setup':
      return 'setup';
    case 'completed':
      return 'done';
    case 'failed':
    case 'cancelled':
      return 'failed';
    case 'none':
    case 'cancelling':
    case 'active':
    case 'postcopy-active':
    case 'postcopy-paused':
    case 'postcopy-recover-setup':
    case 'postcopy-recover':
    case 'colo':
    case 'pre-switchover':
    case 'device':
    case 'wait-unplug':
      return undefined;
  }
}

export class MigrationNotifiers {
  readonly #listeners = new Set<Listener>();

  /** Calls `tell` for migrations in these modes; answers the function that ends it. */
  add(tell: Listener['tell'], modes: readonly MigrationMode[] = MIGRATION_MODES): () => void {
    const listener = { tell, modes };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** In the order in which they were added. */
  statusChanged(status: MigrationStatus, mode: MigrationMode): void {
    const notice = noticeOf(status);
    if (notice === undefined) return;
    for (const { modes, tell } of this.#listeners) if (modes.includes(mode)) tell(notice);
  }
}
