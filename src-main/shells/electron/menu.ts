// SPDX-License-Identifier: Apache-2.0
/** The application menu, and with it the keys that work wherever the focus is. */
import type { MenuItemConstructorOptions } from 'electron';

export interface MenuOptions {
  readonly show: (route: string) => void;
  readonly about: () => void;
  readonly quit: () => void;
  /** A checkout has the developer's items; a package does not. */
  readonly developer: boolean;
}

const SCREENS = [
  ['Machines', '/machines'],
  ['Runs', '/runs'],
  ['History', '/history'],
  ['Settings', '/settings'],
] as const;

export function applicationMenu({ show, about, quit, developer }: MenuOptions): MenuItemConstructorOptions[] {
  const screens = SCREENS.map(([label, route], index) => ({
    id: `show:${route}`,
    label,
    accelerator: `CmdOrCtrl+${String(index + 1)}`,
    click: () => show(route),
  }));
  return [
    {
      label: '&Godwit',
      submenu: [
        { id: 'about', label: 'About Godwit', click: () => about() },
        { type: 'separator' },
        { id: 'preferences', label: 'Settings', accelerator: 'CmdOrCtrl+,', click: () => show('/settings') },
        { type: 'separator' },
        { role: 'close', label: 'Close the window', accelerator: 'CmdOrCtrl+W' },
        { id: 'quit', label: 'Quit', accelerator: 'CmdOrCtrl+Q', click: () => quit() },
      ],
    },
    {
      label: '&Edit',
      submenu: [
        { role: 'undo' },
        { role: 'redo' },
        { type: 'separator' },
        { role: 'cut' },
        { role: 'copy' },
        { role: 'paste' },
        { role: 'selectAll' },
      ],
    },
    {
      label: '&View',
      submenu: [
        ...screens,
        { type: 'separator' },
        { role: 'zoomIn' },
        { role: 'zoomOut' },
        { role: 'resetZoom' },
        { type: 'separator' },
        { role: 'togglefullscreen' },
        ...(developer
          ? ([{ type: 'separator' }, { role: 'reload' }, { role: 'toggleDevTools' }] as MenuItemConstructorOptions[])
          : []),
      ],
    },
  ];
}
