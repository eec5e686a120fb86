// SPDX-License-Identifier: Apache-2.0
/** A clipboard of the stand-in's own: text that was written can be read. */
import { strict } from '../strict.ts';

let text = '';

export const clipboard = strict('clipboard', {
  writeText: async (written: string) => {
    text = written;
  },
  readText: async () => text,
} satisfies Pick<Electron.Clipboard, 'writeText' | 'readText'>);
