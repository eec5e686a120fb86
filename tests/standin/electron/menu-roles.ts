// SPDX-License-Identifier: Apache-2.0
/** What an item's role gives it: a label, keys, a submenu, and something to do. */
import type { MenuItemConstructorOptions } from 'electron';

/** Of the window that has the focus. */
export interface RoleActions {
  quit(): void;
  close(): void;
  minimize(): void;
  reload(): void;
  toggleFullScreen(): void;
  about(): void;
  openDevTools(): void;
}

interface Role {
  readonly label: string;
  readonly accelerator?: string;
  readonly submenu?: readonly MenuItemConstructorOptions[];
  readonly act?: keyof RoleActions;
}

/** Keys of editing roles are left to the page, which knows them by itself. */
const ROLES: Readonly<Record<string, Role>> = {
  about: { label: 'About', act: 'about' },
  quit: { label: 'Quit', accelerator: 'CmdOrCtrl+Q', act: 'quit' },
  close: { label: 'Close Window', accelerator: 'CmdOrCtrl+W', act: 'close' },
  minimize: { label: 'Minimize', accelerator: 'CmdOrCtrl+M', act: 'minimize' },
  reload: { label: 'Reload', accelerator: 'CmdOrCtrl+R', act: 'reload' },
  forcereload: { label: 'Force Reload', accelerator: 'Shift+CmdOrCtrl+R', act: 'reload' },
  toggledevtools: { label: 'Toggle Developer Tools', accelerator: 'Ctrl+Shift+I', act: 'openDevTools' },
  togglefullscreen: { label: 'Toggle Full Screen', accelerator: 'F11', act: 'toggleFullScreen' },
  resetzoom: { label: 'Actual Size', accelerator: 'CommandOrControl+0' },
  zoomin: { label: 'Zoom In', accelerator: 'CommandOrControl+Plus' },
  zoomout: { label: 'Zoom Out', accelerator: 'CommandOrControl+-' },
  undo: { label: 'Undo' },
  redo: { label: 'Redo' },
  cut: { label: 'Cut' },
  copy: { label: 'Copy' },
  paste: { label: 'Paste' },
  pasteandmatchstyle: { label: 'Paste and Match Style' },
  delete: { label: 'Delete' },
  selectall: { label: 'Select All' },
  services: { label: 'Services' },
  hide: { label: 'Hide' },
  hideothers: { label: 'Hide Others' },
  unhide: { label: 'Show All' },
  front: { label: 'Bring All to Front' },
  zoom: { label: 'Zoom' },
  window: { label: 'Window' },
  help: { label: 'Help' },
  filemenu: { label: 'File', submenu: [{ role: 'quit' }] },
  editmenu: {
    label: 'Edit',
    submenu: [
      ...[{ role: 'undo' as const }, { role: 'redo' as const }, { type: 'separator' as const }],
      ...(['cut', 'copy', 'paste', 'delete'] as const).map((role) => ({ role })),
      ...[{ type: 'separator' as const }, { role: 'selectAll' as const }],
    ],
  },
  viewmenu: {
    label: 'View',
    submenu: [
      ...(['reload', 'forceReload', 'toggleDevTools'] as const).map((role) => ({ role })),
      { type: 'separator' },
      ...(['resetZoom', 'zoomIn', 'zoomOut'] as const).map((role) => ({ role })),
      ...[{ type: 'separator' as const }, { role: 'togglefullscreen' as const }],
    ],
  },
  windowmenu: { label: 'Window', submenu: [{ role: 'minimize' }, { role: 'zoom' }, { role: 'close' }] },
};

/** The role of that name, however its letters are capitalised. */
export function roleOf(name: string | undefined): Role | undefined {
  if (name === undefined) return undefined;
  const role = ROLES[name.toLowerCase()];
  if (role === undefined) throw new Error(`The stand-in does not know the role '${name}' of menu items.`);
  return role;
}
