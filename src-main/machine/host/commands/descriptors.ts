// SPDX-License-Identifier: Apache-2.0
/** `getfd` and `closefd`. */
import { object, str } from '../../../control/arguments.ts';
import { defineCommand, type CommandTable } from '../../../control/command.ts';
import { Refusal } from '../refusal.ts';

/** The monitors' sockets do not take descriptors (SCM_RIGHTS) yet, so none can have a name. */
export function descriptorCommands(): CommandTable {
  return {
    getfd: defineCommand({
      arguments: object({ fdname: str() }),
      handler: () => {
        throw new Refusal('No file descriptor supplied via SCM_RIGHTS');
      },
    }),
    closefd: defineCommand({
      arguments: object({ fdname: str() }),
      handler: ({ fdname }) => {
        throw new Refusal(`File descriptor named '${fdname}' not found`);
      },
    }),
  };
}
