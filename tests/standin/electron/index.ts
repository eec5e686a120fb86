// SPDX-License-Identifier: Apache-2.0
/** The module `electron` of the main process. */
import { absent, strict } from '../strict.ts';
import { app } from './app.ts';
import { BrowserWindow } from './browser-window.ts';
import { clipboard } from './clipboard.ts';
import { dialog } from './dialog.ts';
import { ipcMain } from './ipc.ts';
import { Menu, MenuItem } from './menu.ts';
import { nativeImage } from './native-image.ts';
import { nativeTheme } from './native-theme.ts';
import { Notification } from './notification.ts';
import { powerSaveBlocker } from './power-save-blocker.ts';
import { protocol } from './protocol.ts';
import { screen } from './screen.ts';
import { session } from './session.ts';
import { shell } from './shell.ts';
import { Tray } from './tray.ts';
import { utilityProcess } from './utility-process.ts';
import { webContents } from './web-contents.ts';

const provided = {
  ...{ app, BrowserWindow, clipboard, dialog, ipcMain, Menu, MenuItem, nativeImage, nativeTheme, Notification },
  ...{ powerSaveBlocker, protocol, screen, session, shell, Tray, utilityProcess, webContents },
};

/** What Electron has beside these: may be imported, and throws when it is used. */
const ABSENT = [
  ...['autoUpdater', 'BaseWindow', 'BrowserView', 'contentTracing', 'crashReporter', 'desktopCapturer'],
  ...['globalShortcut', 'ImageView', 'inAppPurchase', 'MessageChannelMain', 'MessagePortMain', 'net', 'netLog'],
  ...['powerMonitor', 'pushNotifications', 'safeStorage', 'ServiceWorkerMain', 'ShareMenu', 'systemPreferences'],
  ...['TouchBar', 'View', 'webFrameMain', 'WebContentsView'],
];

export const electron = strict('electron', {
  ...provided,
  ...Object.fromEntries(ABSENT.map((name) => [name, absent(name)])),
});

export const exportedNames: readonly string[] = [...Object.keys(provided), ...ABSENT];
