// SPDX-License-Identifier: Apache-2.0
/** What `migrate` and `migrate-incoming` refuse before anything is begun, with QEMU's sentences (qmp-migration.md 2.1). */
import type { MigrationAddress } from '../../../src-shared/migration/address.ts';
import { missingMechanism, type CapabilitySet } from '../../../src-shared/migration/capabilities.ts';
import { modeConflict } from '../../../src-shared/migration/modes.ts';
import { missingParameterMechanism, type MigrationParameters } from '../../../src-shared/migration/parameters.ts';
import type { RunState } from '../../../src-shared/migration/status.ts';
import type { Blockers } from '../engine/blockers.ts';
import { Refusal } from './refusal.ts';

export interface MigrationSettings {
  readonly capabilities: CapabilitySet;
  readonly parameters: MigrationParameters;
}

/** Channels that the settings need and this address cannot carry. */
export function refuseTransport(address: MigrationAddress, { capabilities, parameters }: MigrationSettings): void {
  const { multifd, 'postcopy-preempt': preempt, 'mapped-ram': mapped } = capabilities;
  const manyChannels = (address.transport === 'socket' && address.type !== 'fd') || address.transport === 'file';
  if ((multifd || preempt) && !manyChannels) throw new Refusal('Migration requires multi-channel URIs (e.g. tcp)');
  if (!mapped) return;
  if (address.transport !== 'file') throw new Refusal('Migration requires seekable transport (e.g. file)');
  if (parameters['tls-creds'] !== '') throw new Refusal('Cannot use TLS with mapped-ram');
  if (parameters['multifd-compression'] !== 'none') throw new Refusal('Cannot use compression with mapped-ram');
}

/** There is no postcopy yet, so nothing is ever paused. */
export function refuseResume({ capabilities }: MigrationSettings): never {
  if (capabilities['release-ram']) {
    throw new Refusal('Postcopy recovery cannot work when release-ram capability is set');
  }
  throw new Refusal('Cannot resume if there is no paused migration');
}

/** Run states and blockers that keep the guest where it is. */
export function refuseStart(runState: RunState, blockers: Blockers, settings: MigrationSettings): void {
  if (runState === 'inmigrate') throw new Refusal('Guest is waiting for an incoming migration');
  if (runState === 'postmigrate') {
    throw new Refusal("Can't migrate the vm that was paused due to previous migration");
  }
  const { mode } = settings.parameters;
  const blocked = blockers.refusal(mode) ?? modeConflict(mode, settings.capabilities);
  if (blocked !== undefined) throw new Refusal(blocked);
}

/** What may be set, as in QEMU, but not done. A demand for encryption above all never ends in a plain channel. */
export function refuseMissingMechanism({ capabilities, parameters }: MigrationSettings): void {
  const sentence = missingMechanism(capabilities)?.sentence ?? missingParameterMechanism(parameters);
  if (sentence !== undefined) throw new Refusal(sentence);
}
