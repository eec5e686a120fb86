// SPDX-License-Identifier: Apache-2.0
/**
 * The migrations of one machine: capabilities and parameters, at most one outgoing and one incoming migration, and
 * what is refused when. Commands call it; it calls the engine.
 */
import { performance } from 'node:perf_hooks';
import type { MigrationAddress } from '../../../src-shared/migration/address.ts';
import {
  applyCapabilities,
  DEFAULT_CAPABILITIES,
  NO_BLOCK_MIGRATION,
  type CapabilitySet,
  type CapabilityState,
} from '../../../src-shared/migration/capabilities.ts';
import { fillInfo, overlayInfo, type MigrationInfo } from '../../../src-shared/migration/info.ts';
import { destinationSentences, sourceSentences } from '../../../src-shared/migration/ownership.ts';
import {
  applyParameters,
  DEFAULT_PARAMETERS,
  type MigrationParameters,
  type ParameterChange,
} from '../../../src-shared/migration/parameters.ts';
import { dialectOf } from '../../../src-shared/migration/peer-release.ts';
import { isRunningStatus, MIGRATION_IN_PROGRESS, type MigrationStatus } from '../../../src-shared/migration/status.ts';
import { Blockers } from '../engine/blockers.ts';
import { MigrationNotifiers } from '../engine/notifiers.ts';
import { openIncoming } from '../engine/channels/open.ts';
import { isOneWay } from '../engine/channels/target.ts';
import { messageOf, MigrationError } from '../engine/errors.ts';
import { IncomingMigration } from '../engine/incoming.ts';
import { OutgoingMigration } from '../engine/outgoing.ts';
import type { Machine } from '../vm/machine.ts';
import type { DescriptorTable } from './descriptor-table.ts';
import { outgoingFacts } from './outgoing-facts.ts';
import { Refusal } from './refusal.ts';
import {
  refuseMissingMechanism,
  refuseResume,
  refuseStart,
  refuseTransport,
  type MigrationSettings,
} from './start-checks.ts';
import { incomingTarget, outgoingTarget, socketAddress } from './channel-target.ts';

export type MigrationEvent =
  | { readonly name: 'MIGRATION'; readonly data: { readonly status: MigrationStatus } }
  | { readonly name: 'MIGRATION_PASS'; readonly data: { readonly pass: number } };

export interface MigrationServiceOptions {
  readonly machine: Machine;
  /** `--only-migratable`: no blocker may be added. */
  readonly onlyMigratable: boolean;
  readonly emit: (event: MigrationEvent) => void;
  /** An incoming migration failed: the machine holds nothing and its process ends with this as its last words. */
  readonly onIncomingFailed: (sentence: string) => void;
}

/** Where this machine stands in a migration, in one sentence (`x-godwit-migration-phase`). */
export interface PhaseReport {
  readonly side: 'source' | 'destination' | 'none';
  readonly phase: string;
  readonly sentence: string;
}

/** What `migrate` is asked for, checked as far as it can be without knowing the machine's state. */
export interface MigrateRequest {
  readonly address: MigrationAddress;
  /** A channel for cpr-transfer was given, too. */
  readonly cprChannel: boolean;
  readonly resume: boolean;
  /** `blk` or `inc`. */
  readonly blockMigration: boolean;
  /** Of the monitor that asks. */
  readonly descriptors: DescriptorTable;
}

export class MigrationService {
  readonly #options: MigrationServiceOptions;
  readonly blockers: Blockers;
  readonly notifiers = new MigrationNotifiers();
  #capabilities: CapabilitySet = DEFAULT_CAPABILITIES;
  #parameters: MigrationParameters = DEFAULT_PARAMETERS;
  #outgoing: OutgoingMigration | undefined;
  #incoming: IncomingMigration | undefined;
  /** An address is being opened. */
  #opening = false;

  constructor(options: MigrationServiceOptions) {
    this.#options = options;
    this.blockers = new Blockers({
      onlyMigratable: options.onlyMigratable,
      migrating: () => this.running,
      unmigratableDevices: [],
    });
  }

  get capabilities(): CapabilitySet {
    return this.#capabilities;
  }

  get parameters(): MigrationParameters {
    return this.#parameters;
  }

  /** Whether an outgoing migration is under way. */
  get running(): boolean {
    return this.#outgoing !== undefined && isRunningStatus(this.#outgoing.status);
  }

  setCapabilities(request: readonly CapabilityState[]): void {
    if (this.running) throw new Refusal(MIGRATION_IN_PROGRESS);
    const { machine } = this.#options;
    const incoming = this.#incoming !== undefined ? 'started' : machine.runState === 'inmigrate' ? 'waiting' : 'none';
    const outcome = applyCapabilities(request, {
      current: this.#capabilities,
      incoming,
      multifdCompression: this.#parameters['multifd-compression'],
      tlsCreds: this.#parameters['tls-creds'],
      dirtyRing: machine.hasDirtyRing,
    });
    if (!outcome.ok) throw new Refusal(outcome.sentence);
    this.#capabilities = outcome.capabilities;
  }

  setParameters(change: ParameterChange): void {
    const outcome = applyParameters(this.#parameters, change, {
      zeroCopySend: this.#capabilities['zero-copy-send'],
    });
    if (!outcome.ok) throw new Refusal(outcome.sentence);
    this.#parameters = outcome.parameters;
    this.#outgoing?.parametersChanged();
  }

  /** Starts moving the guest; the outcome shows in info() and events. The order of the checks is QEMU 8.2's. */
  migrate({ address, cprChannel, resume, blockMigration, descriptors }: MigrateRequest): void {
    const { machine } = this.#options;
    const capabilities = this.#capabilities;
    refuseTransport(address, this.#settings);
    if (this.#parameters.mode === 'cpr-transfer' && !cprChannel) {
      throw new Refusal("missing 'cpr' migration channel");
    }
    if (resume) refuseResume(this.#settings);
    if (this.running) throw new Refusal(MIGRATION_IN_PROGRESS);
    refuseStart(machine.runState, this.blockers, this.#settings);
    if (this.#incoming?.phase === 'waiting') throw new Refusal(destinationSentences.waiting);
    if (blockMigration) throw new Refusal(NO_BLOCK_MIGRATION);
    refuseMissingMechanism(this.#settings);
    const target = outgoingTarget(address, descriptors);
    const { mode } = this.#parameters;
    this.#outgoing = new OutgoingMigration({
      machine,
      target,
      // Nobody answers from a file or a command.
      returnPath: capabilities['return-path'] && (target instanceof MigrationError || !isOneWay(target)),
      pauseBeforeSwitchover: capabilities['pause-before-switchover'],
      switchoverAck: capabilities['switchover-ack'],
      validateUuid: capabilities['validate-uuid'],
      ignoreShared: capabilities['x-ignore-shared'],
      releaseRam: capabilities['release-ram'],
      dialect: dialectOf(this.#parameters['x-godwit-peer']),
      stopFirst: this.#parameters.mode === 'cpr-reboot',
      parameters: () => ({
        maxBandwidth: Number(this.#parameters['max-bandwidth']),
        downtimeLimitMs: Number(this.#parameters['downtime-limit']),
        availSwitchoverBandwidth: Number(this.#parameters['avail-switchover-bandwidth']),
      }),
      onStatus: (status) => {
        this.#announce(status);
        this.notifiers.statusChanged(status, mode);
      },
      onPass: (pass) => {
        if (this.#capabilities.events) this.#options.emit({ name: 'MIGRATION_PASS', data: { pass } });
      },
    });
  }

  /** Listens on `address` for one guest. `descriptors` are those of the monitor that asks. */
  async migrateIncoming(address: MigrationAddress, exitOnError: boolean, descriptors: DescriptorTable): Promise<void> {
    const { machine, onIncomingFailed } = this.#options;
    if (this.#incoming !== undefined || this.#opening) {
      throw new Refusal('The incoming migration has already been started');
    }
    if (machine.runState !== 'inmigrate') throw new Refusal("'-incoming' was not specified on the command line");
    refuseTransport(address, this.#settings);
    refuseMissingMechanism(this.#settings);
    const target = incomingTarget(address, descriptors);
    this.#opening = true;
    try {
      this.#incoming = new IncomingMigration({
        machine,
        channels: await openIncoming(target),
        ignoreShared: this.#capabilities['x-ignore-shared'],
        switchoverAck: this.#capabilities['switchover-ack'],
        onStatus: (status) => {
          this.#announce(status);
        },
        onFailed: (error: MigrationError) => {
          if (exitOnError) onIncomingFailed(`load of migration failed: ${error.message}`);
        },
      });
    } catch (error) {
      throw new Refusal(messageOf(error));
    } finally {
      this.#opening = false;
    }
  }

  /** `migrate-start-postcopy`. */
  startPostcopy(): void {
    if (!this.#capabilities['postcopy-ram'] && !this.#capabilities['dirty-bitmaps']) {
      throw new Refusal('Enable postcopy with migrate_set_capability before the start of migration');
    }
    if (this.#outgoing === undefined) throw new Refusal('Postcopy must be started after migration has been started');
    // With dirty-bitmaps alone there is nothing to copy afterwards; a late or repeated call has no effect, as in QEMU.
  }

  /** `migrate-pause`. */
  pauseMigration(): void {
    throw new Refusal('migrate-pause is currently only supported during postcopy-active or postcopy-recover state');
  }

  /** `migrate-recover`. */
  recover(): void {
    throw new Refusal('Migrate recover can only be run when postcopy is paused.');
  }

  /** Whether a migration is there to be yanked. */
  get yankable(): boolean {
    const listening = this.#incoming !== undefined && ['setup', 'active'].includes(this.#incoming.status);
    return this.running || listening;
  }

  /** Cuts the connections of a migration that hangs. */
  yank(): void {
    if (this.running) this.#outgoing?.yank();
    this.#incoming?.yank();
  }

  /** Threads of the outgoing migration under way. */
  get threads(): OutgoingMigration['threads'] {
    return this.running ? (this.#outgoing?.threads ?? []) : [];
  }

  /** Cancels what can be cancelled; nothing to cancel is fine, as in QEMU. */
  cancel(): void {
    if (this.#outgoing?.cancel() === 'too-late') {
      throw new Refusal('Too late to cancel: the destination has the whole guest and runs it');
    }
  }

  /** `migrate-continue`: `state` must be the status of the source, whatever that is; it has an effect in `pre-switchover`. */
  continue(state: MigrationStatus): void {
    const current = this.#outgoing?.status ?? 'none';
    if (state !== current) throw new Refusal(`Migration not in expected state: ${current}`);
    this.#outgoing?.continue();
  }

  /** `cont`: what it means while a guest is awaited, waits loaded, or has left. */
  resumeGuest(): void {
    const { machine } = this.#options;
    if (this.#incoming?.continueWaiting() === true) return;
    if (machine.runState === 'inmigrate') {
      machine.autostart = true;
      return;
    }
    if (machine.memoryReleased) {
      throw new Refusal(
        'The guest has left and its memory was released (release-ram): it runs at the destination only',
      );
    }
    if (machine.runState === 'finish-migrate') throw new Refusal('Migration is not finalized yet');
    if (machine.runState === 'internal-error') {
      throw new Refusal('The guest has crashed: a vCPU cannot go on. Restart the machine');
    }
    machine.resume();
  }

  /** `stop`. */
  async pauseGuest(): Promise<void> {
    const { machine } = this.#options;
    if (machine.runState === 'inmigrate') machine.autostart = false;
    else await machine.pause();
  }

  /** The reply of query-migrate. */
  info(): MigrationInfo {
    const destination = this.#incoming;
    const source = this.#outgoing;
    const blocked = { 'blocked-reasons': this.blockers.reasons(this.#parameters.mode) };
    return overlayInfo(
      destination === undefined
        ? fillInfo('destination', 'none', blocked)
        : fillInfo('destination', destination.status, {
            'socket-address': destination.address === undefined ? [] : [socketAddress(destination.address)],
            ...(destination.error && {
              'error-desc': `load of migration failed: ${destination.error.message}`,
            }),
            ...blocked,
          }),
      source === undefined
        ? {}
        : fillInfo('source', source.status, outgoingFacts(source, this.#parameters, performance.now())),
    );
  }

  phase(): PhaseReport {
    if (this.#outgoing !== undefined) {
      const { phase, error } = this.#outgoing;
      const cause = error === undefined ? '' : ` ${error.message.replace(/\.?$/, '.')}`;
      return { side: 'source', phase, sentence: `${sourceSentences[phase]}${cause}` };
    }
    if (this.#incoming !== undefined) {
      const { phase, error } = this.#incoming;
      const cause = phase !== 'waiting' || error === undefined ? '' : ` ${error.message.replace(/\.?$/, '.')}`;
      return { side: 'destination', phase, sentence: `${destinationSentences[phase]}${cause}` };
    }
    return { side: 'none', phase: 'idle', sentence: sourceSentences.idle };
  }

  /** Ends everything that is under way: a source gets its guest back before the commit, then the process may go. */
  async close(): Promise<void> {
    await this.#outgoing?.close();
    await this.#incoming?.close();
  }

  get #settings(): MigrationSettings {
    return { capabilities: this.#capabilities, parameters: this.#parameters };
  }

  #announce(status: MigrationStatus): void {
    if (this.#capabilities.events) this.#options.emit({ name: 'MIGRATION', data: { status } });
  }
}
