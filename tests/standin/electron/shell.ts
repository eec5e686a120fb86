// SPDX-License-Identifier: Apache-2.0
/** What would leave the app: recorded instead. */
import { record } from '../record.ts';
import { strict } from '../strict.ts';

export const shell = strict('shell', {
  openExternal: async (url: string) => {
    record.openedExternal.push(url);
  },
  showItemInFolder: (path: string) => {
    record.shownInFolder.push(path);
  },
} satisfies Pick<Electron.Shell, 'openExternal' | 'showItemInFolder'>);
