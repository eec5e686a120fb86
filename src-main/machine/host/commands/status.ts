// SPDX-License-Identifier: Apache-2.0
/** What a machine is and does, and the verbs that change it. */
import { defineCommand, type CommandTable } from '../../../control/command.ts';
import { REFERENCE_RELEASE } from '../../../control/protocol.ts';
import { action, nothing, type CommandTargets } from './targets.ts';

export function statusCommands({ machine, migrations, name, packageName, quit }: CommandTargets): CommandTable {
  return {
    'query-version': defineCommand({
      arguments: nothing,
      handler: () => ({ qemu: { ...REFERENCE_RELEASE }, package: packageName }),
    }),
    'query-name': defineCommand({ arguments: nothing, handler: () => (name === undefined ? {} : { name }) }),
    'query-status': defineCommand({
      arguments: nothing,
      handler: () => ({ status: machine.runState, running: machine.running }),
    }),
    stop: action(() => migrations.pauseGuest()),
    cont: action(() => migrations.resumeGuest()),
    quit: action(quit),
  };
}
