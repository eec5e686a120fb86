// SPDX-License-Identifier: Apache-2.0
/** `getfd` and `closefd`. */
import { closeSync } from 'node:fs';
import { object, str } from '../../../control/arguments.ts';
import { defineCommand, type CommandTable } from '../../../control/command.ts';
import { Refusal } from '../refusal.ts';
import type { CommandTargets } from './targets.ts';

export function descriptorCommands({ descriptors }: CommandTargets): CommandTable {
  return {
    getfd: defineCommand({
      arguments: object({ fdname: str() }),
      takesDescriptors: true,
      handler: ({ fdname }, { takeDescriptor }) => {
        const descriptor = takeDescriptor();
        if (descriptor === undefined) throw new Refusal('No file descriptor supplied via SCM_RIGHTS');
        if (/^[0-9]/.test(fdname)) {
          closeSync(descriptor);
          throw new Refusal("Parameter 'fdname' expects a name not starting with a digit");
        }
        descriptors.add(fdname, descriptor);
        return undefined;
      },
    }),
    closefd: defineCommand({
      arguments: object({ fdname: str() }),
      handler: ({ fdname }) => {
        if (!descriptors.has(fdname)) throw new Refusal(`File descriptor named '${fdname}' not found`);
        closeSync(descriptors.take(fdname));
        return undefined;
      },
    }),
  };
}
