// SPDX-License-Identifier: Apache-2.0
/** What a page of ours may do: nothing but show itself and speak over its preload. docs/security.md says why. */
import type { WebPreferences } from 'electron';

export function webPreferences(preload: string, devTools: boolean): WebPreferences {
  return {
    preload,
    devTools,
    sandbox: true,
    contextIsolation: true,
    nodeIntegration: false,
    nodeIntegrationInWorker: false,
    nodeIntegrationInSubFrames: false,
    webSecurity: true,
    allowRunningInsecureContent: false,
    experimentalFeatures: false,
    webviewTag: false,
    navigateOnDragDrop: false,
    safeDialogs: true,
    // Chromium would fetch dictionaries from the network.
    spellcheck: false,
  };
}
