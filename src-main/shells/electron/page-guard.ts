// SPDX-License-Identifier: Apache-2.0
/** A page stays where it is, opens nothing, and gets none of the powers that a browser would ask its user for. */
import type { Session, WebContents } from 'electron';
import { isOurs } from './app-address.ts';

export function guardSession(session: Session): void {
  session.setPermissionRequestHandler((_contents, _permission, answer) => answer(false));
  session.setPermissionCheckHandler(() => false);
  session.setDevicePermissionHandler(() => false);
  session.on('will-download', (event) => event.preventDefault());
}

/** For every page that is ever made, whoever makes it. */
export function guardPage(contents: WebContents): void {
  contents.setWindowOpenHandler(() => ({ action: 'deny' }));
  contents.on('will-attach-webview', (event) => event.preventDefault());
  contents.on('will-frame-navigate', (event) => {
    // Vue's router changes what is behind `#` and never navigates; a reload comes from us.
    if (!isOurs(event.url)) event.preventDefault();
  });
  contents.on('will-redirect', (event) => event.preventDefault());
}
