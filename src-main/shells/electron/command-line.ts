// SPDX-License-Identifier: Apache-2.0
/** A command that is given to the app itself (`Godwit.AppImage demo`): it is run as on a terminal, without a window. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { moduleBeside } from '../../../src-shared/module-beside.ts';
import { nodeEnvironment } from '../../manager/system/node-environment.ts';

const CLI = fileURLToPath(moduleBeside(import.meta.url, '../cli/main'));

/**
 * What a user gave to the app: `electron [SWITCH…] FOLDER …` in a checkout, `godwit-desktop [SWITCH…] …` in a package.
 * Switches that stand before it are Chromium's.
 */
export function userArguments(argv: readonly string[], isDefaultApp: boolean): readonly string[] {
  const first = argv.findIndex((argument, index) => index > 0 && !argument.startsWith('-'));
  if (first < 0) return [];
  return argv.slice(isDefaultApp ? first + 1 : first);
}

/** A word that is no link: only a command of the command line begins so. */
export function isCommand([first]: readonly string[]): boolean {
  return first !== undefined && /^[a-z]+$/.test(first);
}

/** Resolves with its exit code. */
export function runCommand(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: 'inherit', env: nodeEnvironment() });
  return new Promise((resolve) => {
    child.once('error', () => resolve(1));
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
