// SPDX-License-Identifier: Apache-2.0
/** Runs in the window before the page: gives it `window.godwit`, and nothing else of Electron. One CommonJS file when built. */
import { contextBridge, ipcRenderer } from 'electron';
import { channels, type DesktopBridge, type FeedMessage } from '../../../src-shared/desktop-bridge.ts';

let followed = false;

const bridge: DesktopBridge = {
  call: (name, input) => ipcRenderer.invoke(channels.call, name, input) as ReturnType<DesktopBridge['call']>,
  desktop: (name, input) => ipcRenderer.invoke(channels.desktop, name, input) as ReturnType<DesktopBridge['desktop']>,
  follow: (listener) => {
    if (followed) return;
    followed = true;
    let taken = 0;
    // Without the event object: it would hand the page the way to every channel.
    ipcRenderer.on(channels.feed, (_event, message: FeedMessage) => {
      taken += 1;
      ipcRenderer.send(channels.taken, taken);
      listener(message);
    });
    ipcRenderer.send(channels.follow);
  },
};

contextBridge.exposeInMainWorld('godwit', bridge);
