// SPDX-License-Identifier: Apache-2.0
/** The QMP commands of a machine: one table, name → schema → handler. */
import { defineCommand, type Command, type CommandTable } from '../../control/command.ts';
import { genericError, QmpError } from '../../control/protocol.ts';
import { MigrationError } from '../engine/errors.ts';
import { descriptorCommands } from './commands/descriptors.ts';
import { dirtyRateCommands } from './commands/dirty-rate.ts';
import { godwitCommands } from './commands/godwit.ts';
import { migrationCommands } from './commands/migration.ts';
import { machineQueries } from './commands/queries.ts';
import { replicationCommands } from './commands/replication.ts';
import { statusCommands } from './commands/status.ts';
import { nothing, type CommandTargets } from './commands/targets.ts';
import { yankCommands } from './commands/yank.ts';
import { Refusal } from './refusal.ts';

/** Builds the table for one monitor of a machine. */
export function machineCommands(targets: CommandTargets): CommandTable {
  const table: CommandTable = {
    ...statusCommands(targets),
    ...migrationCommands(targets),
    ...dirtyRateCommands(targets),
    ...yankCommands(targets),
    ...replicationCommands(),
    ...descriptorCommands(targets),
    ...machineQueries(targets),
    ...godwitCommands(targets),
    'query-commands': defineCommand({
      arguments: nothing,
      handler: () => ['qmp_capabilities', ...Object.keys(table)].map((name) => ({ name })),
    }),
  };
  return Object.fromEntries(Object.entries(table).map(([name, command]) => [name, answeringRefusals(command)]));
}

/** Refusals of ours become GenericError replies; anything else is a defect and is reported as one. */
function answeringRefusals(command: Command): Command {
  return {
    oob: command.oob,
    takesDescriptors: command.takesDescriptors,
    run: async (input, context) => {
      try {
        return await command.run(input, context);
      } catch (error) {
        if (error instanceof QmpError) throw error;
        if (error instanceof Refusal || error instanceof MigrationError) throw genericError(error.message);
        throw error;
      }
    },
  };
}
