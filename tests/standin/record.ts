// SPDX-License-Identifier: Apache-2.0
/** What the app did with Electron, for tests to look at: `globalThis.__standin` in the main process. */
import type { ForgedSender } from './electron/ipc.ts';
import type { Notification } from './electron/notification.ts';
import type { Tray } from './electron/tray.ts';
import type { Menu } from './electron/menu.ts';

export interface RefusedRequest {
  readonly url: string;
  readonly method: string;
  readonly resourceType: string;
}

export type DialogName = 'showMessageBox' | 'showOpenDialog' | 'showSaveDialog' | 'showErrorBox';

export interface StandinRecord {
  isSandboxEnabled: boolean;
  /** Options of each window that was constructed. */
  readonly windows: { readonly id: number; readonly options: Electron.BrowserWindowConstructorOptions }[];
  readonly privilegedSchemes: Electron.CustomScheme[];
  /** What the app, or Playwright, appended. */
  readonly switches: { readonly name: string; readonly value: string }[];
  readonly protocolClients: string[];
  readonly trays: Tray[];
  readonly notifications: Notification[];
  /** Dialogs that were asked for, with their options. */
  readonly dialogs: { readonly dialog: DialogName; readonly options: unknown }[];
  /** Answers for dialogs to come, first in first out. */
  readonly dialogAnswers: { readonly dialog: DialogName; readonly answer: unknown }[];
  applicationMenu: Menu | null;
  /** Menus that were shown by `popup`. */
  readonly popups: Menu[];
  /** What the app set on the default session; null until then. */
  readonly handlers: {
    permissionRequest: Parameters<Electron.Session['setPermissionRequestHandler']>[0];
    permissionCheck: Parameters<Electron.Session['setPermissionCheckHandler']>[0];
    devicePermission: Parameters<Electron.Session['setDevicePermissionHandler']>[0];
    displayMediaRequest: Parameters<Electron.Session['setDisplayMediaRequestHandler']>[0];
    certificateVerify: Parameters<Electron.Session['setCertificateVerifyProc']>[0];
  };
  isSpellCheckerEnabled: boolean;
  /** Requests of pages that no handler of the app answers: the network. */
  readonly refusedRequests: RefusedRequest[];
  /** Windows that a page wanted to open, and whether the handler allowed it; none is ever opened. */
  readonly openedByPages: { readonly url: string; readonly action: 'allow' | 'deny' }[];
  readonly preloadErrors: string[];
  readonly unhandledRejections: string[];
  readonly openedExternal: string[];
  readonly shownInFolder: string[];
  /** Ids of web contents whose developer tools were opened. */
  readonly devToolsOpened: number[];
  readonly aboutPanel: { options: Electron.AboutPanelOptionsOptions | null; shown: number };
  readonly utilityProcesses: { readonly pid: number; readonly serviceName: string; readonly modulePath: string }[];
  /** Handlers and listeners of ipcMain, called as if a page had sent that; a sender can be made up. */
  readonly forge: {
    invoke(channel: string, args: readonly unknown[], sender?: ForgedSender): Promise<unknown>;
    send(channel: string, args: readonly unknown[], sender?: ForgedSender): void;
  };
}

declare global {
  var __standin: StandinRecord;
}

const notYet = (): never => {
  throw new Error('ipcMain is not there yet.');
};

export const record: StandinRecord = {
  isSandboxEnabled: false,
  windows: [],
  privilegedSchemes: [],
  switches: [],
  protocolClients: [],
  trays: [],
  notifications: [],
  dialogs: [],
  dialogAnswers: [],
  applicationMenu: null,
  popups: [],
  handlers: {
    permissionRequest: null,
    permissionCheck: null,
    devicePermission: null,
    displayMediaRequest: null,
    certificateVerify: null,
  },
  isSpellCheckerEnabled: true,
  refusedRequests: [],
  openedByPages: [],
  preloadErrors: [],
  unhandledRejections: [],
  openedExternal: [],
  shownInFolder: [],
  devToolsOpened: [],
  aboutPanel: { options: null, shown: 0 },
  utilityProcesses: [],
  forge: { invoke: notYet, send: notYet },
};
globalThis.__standin = record;
