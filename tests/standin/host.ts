// SPDX-License-Identifier: Apache-2.0
/** What all parts of the stand-in share: the app that it runs, and the browser once it is there. */
import type { Session } from './chromium/cdp.ts';
import type { Targets } from './chromium/targets.ts';

export interface AppInfo {
  /** The folder with package.json, or that of the file that was named. */
  readonly path: string;
  readonly main: string;
  readonly name: string;
  readonly version: string;
}

export interface Connected {
  readonly targets: Targets;
  readonly browser: Session;
}

let resolveConnected: (connected: Connected) => void = () => undefined;

export const host = {
  /** tests/standin/runtime/electron. */
  executable: '',
  app: { path: '', main: '', name: '', version: '' } as AppInfo,
  switches: new Map<string, string>(),
  isPackaged: process.env['GODWIT_STANDIN_PACKAGED'] === '1',
  connected: new Promise<Connected>((resolve) => {
    resolveConnected = resolve;
  }),
  connect: (connected: Connected): void => resolveConnected(connected),
  /** Ends Chromium and the process. */
  end: (code: number): void => {
    process.exit(code);
  },
};
