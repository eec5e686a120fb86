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
  missingMechanism,
  type CapabilitySet,
  type CapabilityState,
} from '../../../src-shared/migration/capabilities.ts';
import { fillInfo, overlayInfo, type MigrationInfo } from '../../../src-shared/migration/info.ts';
import { destinationSentences, sourceSentences } from '../../../src-shared/migration/ownership.ts';
import {
  applyParameters,
  DEFAULT_PARAMETERS,
  missingParameterMechanism,
  type MigrationParameters,
  type ParameterChange,
} from '../../../src-shared/migration/parameters.ts';
import { isRunningStatus, MIGRATION_IN_PROGRESS, type MigrationStatus } from '../../../src-shared/migration/status.ts';
import { messageOf, type MigrationError } from '../engine/errors.ts';
import { IncomingMigration } from '../engine/incoming.ts';
import { OutgoingMigration } from '../engine/outgoing.ts';
import type { Machine } from '../vm/machine.ts';
import { outgoingFacts } from './outgoing-facts.ts';
import { Refusal } from './refusal.ts';
import { socketAddress, socketTarget } from './socket-target.ts';

export type MigrationEvent =
  | { readonly name: 'MIGRATION'; readonly data: { readonly status: MigrationStatus } }
  | { readonly name: 'MIGRATION_PASS'; readonly data: { readonly pass: number } };

export interface MigrationServiceOptions {
  readonly machine: Machine;
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

export class MigrationService {
  readonly #options: MigrationServiceOptions;
  #capabilities: CapabilitySet = DEFAULT_CAPABILITIES;
  #parameters: MigrationParameters = DEFAULT_PARAMETERS;
  #outgoing: OutgoingMigration | undefined;
  #incoming: IncomingMigration | undefined;

  constructor(options: MigrationServiceOptions) {
    this.#options = options;
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
    const outcome = applyCapabilities(request, {
      current: this.#capabilities,
      incoming:
        this.#incoming !== undefined ? 'started' : this.#options.machine.runState === 'inmigrate' ? 'waiting' : 'none',
      multifdCompression: this.#parameters['multifd-compression'],
      tlsCreds: this.#parameters['tls-creds'],
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

  /** Starts moving the guest to `address`; the outcome shows in info() and events. */
  migrate(address: MigrationAddress, resume: boolean): void {
    if (resume) throw new Refusal('Cannot resume if there is no paused migration');
    const { machine } = this.#options;
    if (this.running) throw new Refusal(MIGRATION_IN_PROGRESS);
    if (machine.runState === 'inmigrate') throw new Refusal('Guest is waiting for an incoming migration');
    if (machine.runState === 'postmigrate') {
      throw new Refusal("Can't migrate the vm that was paused due to previous migration");
    }
    if (this.#incoming?.phase === 'waiting') throw new Refusal(destinationSentences.waiting);
    this.#refuseMissingMechanism();
    this.#outgoing = new OutgoingMigration({
      machine,
      target: socketTarget(address),
      returnPath: this.#capabilities['return-path'],
      pauseBeforeSwitchover: this.#capabilities['pause-before-switchover'],
      parameters: () => ({
        maxBandwidth: Number(this.#parameters['max-bandwidth']),
        downtimeLimitMs: Number(this.#parameters['downtime-limit']),
        availSwitchoverBandwidth: Number(this.#parameters['avail-switchover-bandwidth']),
      }),
      onStatus: (status) => {
        this.#announce(status);
      },
      onPass: (pass) => {
        if (this.#capabilities.events) this.#options.emit({ name: 'MIGRATION_PASS', data: { pass } });
      },
    });
  }

  /** Listens on `address` for one guest. */
  migrateIncoming(address: MigrationAddress): void {
    const { machine, onIncomingFailed } = this.#options;
    if (this.#incoming !== undefined) throw new Refusal('The incoming migration has already been started');
    if (machine.runState !== 'inmigrate') throw new Refusal("'-incoming' was not specified on the command line");
    this.#refuseMissingMechanism();
    const target = socketTarget(address);
    try {
      this.#incoming = new IncomingMigration({
        machine,
        target,
        onStatus: (status) => {
          this.#announce(status);
        },
        onFailed: (error: MigrationError) => {
          onIncomingFailed(`load of migration failed: ${error.message}`);
        },
      });
    } catch (error) {
      throw new Refusal(messageOf(error));
    }
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
    return overlayInfo(
      destination === undefined
        ? {}
        : fillInfo('destination', destination.status, {
            'socket-address': [socketAddress(destination.address)],
            ...(destination.error && { 'error-desc': destination.error.message }),
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
      const { phase } = this.#incoming;
      return { side: 'destination', phase, sentence: destinationSentences[phase] };
    }
    return { side: 'none', phase: 'idle', sentence: sourceSentences.idle };
  }

  /** Ends everything that is under way: a source gets its guest back before the commit, then the process may go. */
  async close(): Promise<void> {
    this.#outgoing?.cancel();
    await this.#outgoing?.finished;
    await this.#incoming?.close();
  }

  #refuseMissingMechanism(): void {
    const sentence = missingMechanism(this.#capabilities)?.sentence ?? missingParameterMechanism(this.#parameters);
    if (sentence !== undefined) throw new Refusal(sentence);
  }

  #announce(status: MigrationStatus): void {
    if (this.#capabilities.events) this.#options.emit({ name: 'MIGRATION', data: { status } });
  }
}
