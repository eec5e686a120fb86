// SPDX-License-Identifier: Apache-2.0
const { contextBridge, ipcRenderer } = require('electron');

const attempt = (act) => {
  try {
    return String(act());
  } catch (error) {
    return `threw: ${error.message}`;
  }
};

contextBridge.exposeInMainWorld('sample', {
  invoke: (channel, ...args) => ipcRenderer.invoke(channel, ...args),
  note: (text) => ipcRenderer.send('note', text),
  onNoted: (listener) => {
    const heard = (_event, text) => listener(text);
    ipcRenderer.on('noted', heard);
    return () => ipcRenderer.off('noted', heard);
  },
  invokeFunction: () => ipcRenderer.invoke('echo', () => 1),
  fail: () => {
    throw new TypeError('failed in the preload');
  },
  same: (value) => value,
  type: process.type,
  pageScriptsSeen: globalThis.pageScriptRan === true,
  requireFs: attempt(() => require('node:fs')),
  webFrame: attempt(() => require('electron').webFrame),
  processExit: attempt(() => process.exit),
});
