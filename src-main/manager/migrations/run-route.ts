// SPDX-License-Identifier: Apache-2.0
/** Where a run takes its guest, and what that takes: to another machine, or into a file. */
import type { MigrationSettings } from '../../../src-shared/profile.ts';
import type { Whereabouts } from '../../../src-shared/run.ts';
import type { HandOver } from '../hand-over.ts';
import type { LiveMachine } from '../machines/live-machine.ts';
import type { MachineLink } from '../machines/link.ts';
import type { Saved } from './until-saved.ts';

export interface RunRoute {
  /** As QEMU names it. */
  readonly uri: string;
  /** The machine at the other end; undefined where there is none. */
  readonly destination: LiveMachine | undefined;
  /** The file that the guest is saved to; undefined where it is none. */
  readonly file: string | undefined;
  /** Where the guest is when all went well. */
  readonly arrival: Extract<Whereabouts['guest'], 'destination' | 'file'>;
  /** Whether somebody at the other end can answer. */
  readonly hasReturnPath: boolean;
  /** Tells both ends to begin, whose capabilities and parameters are set. */
  begin(): Promise<void>;
  /** Until the guest is there, or stays. */
  follow(signal: AbortSignal): Promise<HandOver | Saved>;
  /** Asks now. `completed`: the source has said so. */
  where(completed: boolean): Promise<Whereabouts>;
  /** The longest pause that the guest itself saw, milliseconds; null where it was not measured. */
  guestPauseMs(): Promise<number | null>;
}

/** Both ends of a run, or the only one, have these capabilities before it begins. */
export async function setCapabilities(
  ends: readonly (MachineLink | undefined)[],
  capabilities: MigrationSettings['capabilities'],
): Promise<void> {
  const list = Object.entries(capabilities).map(([capability, state]) => ({ capability, state }));
  for (const link of ends) await link?.execute('migrate-set-capabilities', { capabilities: list });
}
