// SPDX-License-Identifier: Apache-2.0
import { defineMachineOptions, parseMachineOptions } from '../../machine/host/options.ts';
import type { MachineOptionTexts } from '../../machine/host/options.ts';
import type { AddCommand } from './program.ts';

/** `godwit vm`: this process becomes the machine. */
export const addVmCommand: AddCommand = (program, _io, done) => {
  defineMachineOptions(program.command('vm').description('run one machine, driven by any QMP client')).action(
    async (texts: MachineOptionTexts) => {
      const options = parseMachineOptions(texts);
      // The machine loads the native addon; the other commands do without it.
      const { runMachine } = await import('../../machine/host/host.ts');
      done(await runMachine(options));
    },
  );
};
