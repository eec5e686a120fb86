// SPDX-License-Identifier: Apache-2.0
/** `godwit` alone: the desktop app where its runtime and a display are there, else the app in a browser. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDisplayThere } from './display.ts';
import type { CliIo } from './io.ts';

/** Of the checkout, or of the package. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

interface Desktop {
  readonly executable: string;
  readonly args: readonly string[];
}

/** A sentence where there is none to be had. `root`: of the checkout or the package. */
export function findDesktop(env: CliIo['env'], root: string = ROOT): Desktop | string {
  if (!isDisplayThere(env)) return 'There is no display: Godwit opens in a browser.';
  // Inside the package this very process is Electron's executable, told to be a Node.
  if ('electron' in process.versions) return { executable: process.execPath, args: [] };
  const folder = env['ELECTRON_OVERRIDE_DIST_PATH'] ?? join(root, 'node_modules', 'electron', 'dist');
  const executable = join(folder, 'electron');
  const app = join(root, 'out', 'app');
  if (!existsSync(executable))
    return 'The desktop runtime is not installed (npx install-electron fetches it): Godwit opens in a browser.';
  if (!existsSync(join(app, 'src-main', 'main.js'))) return 'The desktop app is not built: Godwit opens in a browser.';
  return { executable, args: [app] };
}

/** Runs it until it ends; answers its exit code. It gets our signals: an end that a user asks for by Ctrl-C is orderly. */
export function runDesktop({ executable, args }: Desktop, io: CliIo): Promise<number> {
  const { ELECTRON_RUN_AS_NODE: _asNode, ...env } = io.env;
  const child = spawn(executable, args, { stdio: 'inherit', env });
  const forget = io.onInterrupt((signal) => void child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      forget();
      reject(error);
    });
    child.once('exit', (code) => {
      forget();
      resolve(code ?? 1);
    });
  });
}
