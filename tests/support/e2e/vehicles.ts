// SPDX-License-Identifier: Apache-2.0
import { DesktopApp, RUNTIME_NAME } from './desktop-app.ts';
import { launchBrowser, ServedApp } from './served-app.ts';
import { VirtualScreen } from '../../standin/virtual-screen.ts';
import type { Vehicle } from './vehicle.ts';

/** In a browser, as on a box without a display. */
async function served(): Promise<Vehicle> {
  const browser = await launchBrowser();
  return {
    name: 'served',
    start: () => ServedApp.start(browser),
    picture: () => Promise.resolve(undefined),
    close: () => browser.close(),
  };
}

/** In a window of Electron, on a screen that nobody looks at. */
async function desktop(): Promise<Vehicle> {
  const screen = await VirtualScreen.start();
  return {
    name: 'desktop',
    start: () => DesktopApp.start(screen),
    picture: () => screen.screenshot(),
    close: () => screen.dispose(),
  };
}

/** Every way in which the app is brought before a user. `open` is called before its first test. */
export const vehicles: readonly { readonly title: string; readonly open: () => Promise<Vehicle> }[] = [
  { title: 'the app in a browser', open: served },
  { title: `the app in a window of ${RUNTIME_NAME}`, open: desktop },
];
