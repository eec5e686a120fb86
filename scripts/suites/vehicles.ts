// SPDX-License-Identifier: Apache-2.0
// What brings the app before a user in the end-to-end tests: a browser, and a window of Electron or of its stand-in.
import path from 'node:path';
import { hasDesktopRuntime } from '../setup/app.mjs';
import { root } from './command.ts';

/** Read by the tests. */
const VARIABLE = 'GODWIT_TEST_ELECTRON';

/** The environment in which the desktop's tests take a real Electron, or a sentence where there is none. */
export function withRealElectron(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv | string {
  if (hasDesktopRuntime(root)) return { ...env, [VARIABLE]: 'real' };
  const folder = path.join('node_modules', 'electron', 'dist');
  return `there is no Electron runtime in ${folder} (npx install-electron downloads it) nor in ELECTRON_OVERRIDE_DIST_PATH.`;
}

/** Which ran, for the summary. */
export function vehiclesLine(env: NodeJS.ProcessEnv): string {
  const desktop =
    env[VARIABLE] === 'real'
      ? 'in a window of Electron'
      : 'in a window of the stand-in for Electron (npm run test:electron takes a real one)';
  return `the app was driven in a browser, and ${desktop}`;
}
