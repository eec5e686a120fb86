// SPDX-License-Identifier: Apache-2.0
/**
 * What keeps the guest from being moved. Devices register a blocker while they are in a state that cannot travel, users
 * while they do not want it to. Each belongs to a set of modes; the newest of the current mode is what `migrate` answers
 * (qmp-migration.md 11).
 */
import { MIGRATION_MODES, type MigrationMode } from '../../../src-shared/migration/parameters.ts';
import { MigrationError } from './errors.ts';

export interface Blocker {
  readonly id: number;
  readonly reason: string;
  readonly modes: readonly MigrationMode[];
}

export interface BlockersOptions {
  /** `--only-migratable`: nothing may ever block. */
  readonly onlyMigratable: boolean;
  /** Whether a migration or snapshot is under way: then a device has to wait. */
  readonly migrating: () => boolean;
  /** Devices whose state can never travel, as QEMU names them; empty for every machine that there is now. */
  readonly unmigratableDevices: readonly string[];
}

export class Blockers {
  readonly #options: BlockersOptions;
  /** The newest first. */
  #blockers: readonly Blocker[] = [];
  #nextId = 1;

  constructor(options: BlockersOptions) {
    this.#options = options;
    const [device] = options.unmigratableDevices;
    if (options.onlyMigratable && device !== undefined) {
      throw new MigrationError(
        'unsupported',
        `Device ${device} is not migratable, but --only-migratable was specified`,
      );
    }
  }

  /** Answers the blocker's id; throws, and adds nothing, where no blocker may come now. */
  add(reason: string, modes: readonly MigrationMode[] = MIGRATION_MODES): number {
    const { onlyMigratable, migrating } = this.#options;
    const why = onlyMigratable ? '--only-migratable' : migrating() ? 'migration/snapshot in progress' : undefined;
    if (why !== undefined) {
      throw new MigrationError('unsupported', `disallowing migration blocker (${why}) for: ${reason}`);
    }
    const id = this.#nextId++;
    this.#blockers = [{ id, reason, modes }, ...this.#blockers];
    return id;
  }

  /** Answers whether there was such a blocker. */
  remove(id: number): boolean {
    const before = this.#blockers.length;
    this.#blockers = this.#blockers.filter((blocker) => blocker.id !== id);
    return this.#blockers.length < before;
  }

  /** Why a migration in this mode cannot start; undefined when it can. */
  refusal(mode: MigrationMode): string | undefined {
    const [device] = this.#options.unmigratableDevices;
    if (device !== undefined) return `State blocked by non-migratable device '${device}'`;
    return this.#blockers.find(({ modes }) => modes.includes(mode))?.reason;
  }

  /** `blocked-reasons` of query-migrate. */
  reasons(mode: MigrationMode): readonly string[] {
    return [
      ...this.#options.unmigratableDevices.map((device) => `non-migratable device: ${device}`),
      ...this.#blockers.filter(({ modes }) => modes.includes(mode)).map(({ reason }) => reason),
    ];
  }
}
