// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { SetupError } from './setup-error.mjs';

/** Programs that the build calls, and the Debian package of each. */
const tools = [
  { program: 'g++', debian: 'g++' },
  { program: 'make', debian: 'make' },
  { program: 'python3', debian: 'python3' }, // node-gyp
  { program: 'as', debian: 'binutils' }, // the demo guest
  { program: 'ld', debian: 'binutils' },
  { program: 'objcopy', debian: 'binutils' },
];

/** Throws one sentence with the remedy when a program of the build is missing. */
export function requireBuildTools() {
  const missing = tools.filter(({ program }) => !isInPath(program));
  if (missing.length === 0) return;
  const names = missing.map(({ program }) => program).join(', ');
  const packages = [...new Set(missing.map(({ debian }) => debian))].join(' ');
  throw new SetupError(`the build needs ${names}, which this machine lacks. Install: sudo apt install ${packages}`);
}

export function isInPath(program) {
  return (process.env.PATH ?? '').split(':').some((directory) => {
    try {
      accessSync(path.join(directory, program), constants.X_OK);
      return directory !== '';
    } catch {
      return false;
    }
  });
}
