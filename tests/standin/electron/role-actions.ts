// SPDX-License-Identifier: Apache-2.0
/** What the roles of menu items do. */
import { app } from './app.ts';
import { BrowserWindow } from './browser-window.ts';
import { provideActions } from './menu.ts';

/** Once, before the app is loaded. */
export function provideRoles(): void {
  const focused = (): BrowserWindow | undefined => BrowserWindow.getFocusedWindow() ?? undefined;
  provideActions(
    {
      quit: () => app.quit(),
      close: () => focused()?.close(),
      minimize: () => focused()?.minimize(),
      reload: () => focused()?.reload(),
      toggleFullScreen: () => {
        const window = focused();
        window?.setFullScreen(!window.isFullScreen());
      },
      about: () => app.showAboutPanel(),
      openDevTools: () => focused()?.webContents.openDevTools(),
    },
    focused,
  );
}
