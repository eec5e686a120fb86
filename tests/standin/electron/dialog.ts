// SPDX-License-Identifier: Apache-2.0
/** Dialogs ask nobody: a test prepares the answer, or replaces the function. */
import { record, type DialogName } from '../record.ts';
import { strict } from '../strict.ts';

/** The options come last, behind the window that they may be given. */
function ask(dialog: DialogName, ...args: unknown[]): unknown {
  record.dialogs.push({ dialog, options: args.at(-1) });
  const index = record.dialogAnswers.findIndex((prepared) => prepared.dialog === dialog);
  if (index < 0)
    throw new Error(`dialog.${dialog} was called, and no answer was prepared: ${JSON.stringify(args.at(-1))}`);
  return record.dialogAnswers.splice(index, 1)[0]?.answer;
}

export const dialog = strict('dialog', {
  showMessageBox: async (...args: unknown[]) => ask('showMessageBox', ...args) as Electron.MessageBoxReturnValue,
  showOpenDialog: async (...args: unknown[]) => ask('showOpenDialog', ...args) as Electron.OpenDialogReturnValue,
  showSaveDialog: async (...args: unknown[]) => ask('showSaveDialog', ...args) as Electron.SaveDialogReturnValue,
  showErrorBox: (title: string, content: string) => {
    ask('showErrorBox', { title, content });
  },
} satisfies Pick<Electron.Dialog, 'showMessageBox' | 'showOpenDialog' | 'showSaveDialog' | 'showErrorBox'>);
