// SPDX-License-Identifier: Apache-2.0
import { object } from '../../../control/arguments.ts';
import { defineCommand, type Command } from '../../../control/command.ts';
import type { DirtyRate } from '../../engine/convergence/dirty-rate.ts';
import type { Machine } from '../../vm/machine.ts';
import type { DescriptorTable } from '../descriptor-table.ts';
import type { MigrationService } from '../migration-service.ts';

/** What the commands act on. */
export interface CommandTargets {
  readonly machine: Machine;
  readonly migrations: MigrationService;
  readonly dirtyRate: DirtyRate;
  /** Of the monitor that the table is for. */
  readonly descriptors: DescriptorTable;
  readonly name: string | undefined;
  /** `godwit-X.Y.Z`. */
  readonly packageName: string;
  /** Monitors by the ids that they have in QEMU; dropping one ends its client's connection. */
  readonly monitors: () => readonly { readonly id: string; readonly drop: () => void }[];
  /** Ends the process once the reply is on its way. */
  readonly quit: () => void;
}

/** No arguments. */
export const nothing = object({});

/** A command without arguments whose reply is empty. */
export function action(run: () => void | Promise<void>, options: { readonly oob?: boolean } = {}): Command {
  return defineCommand({
    arguments: nothing,
    ...options,
    handler: async () => {
      await run();
      return undefined;
    },
  });
}
