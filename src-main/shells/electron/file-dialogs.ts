// SPDX-License-Identifier: Apache-2.0
/** The desktop's own dialogs for the file that a guest is saved to or restored from. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { dialog, type BrowserWindow } from 'electron';
import type { DesktopCallInput } from '../../../src-shared/desktop-bridge.ts';
import { suggestedName } from './suggested-name.ts';

const filters = [
  { name: 'Saved guests', extensions: ['state'] },
  { name: 'All files', extensions: ['*'] },
];

/** Null where none was chosen. */
export async function chooseFile(
  window: BrowserWindow | undefined,
  { purpose, name }: DesktopCallInput<'chooseFile'>,
): Promise<string | null> {
  if (purpose === 'save-guest') {
    const options = {
      title: `Save ${name}`,
      defaultPath: join(homedir(), suggestedName(name)),
      filters,
    };
    const { canceled, filePath } = await (window === undefined
      ? dialog.showSaveDialog(options)
      : dialog.showSaveDialog(window, options));
    return canceled || filePath === '' ? null : filePath;
  }
  const options = {
    title: `The file with the guest of ${name}`,
    defaultPath: homedir(),
    filters,
    properties: ['openFile' as const],
  };
  const { canceled, filePaths } = await (window === undefined
    ? dialog.showOpenDialog(options)
    : dialog.showOpenDialog(window, options));
  return canceled ? null : (filePaths[0] ?? null);
}
