// SPDX-License-Identifier: Apache-2.0
/** Which blockers were started. */
import { strict } from '../strict.ts';

const started = new Map<number, string>();
let lastId = 0;

export const powerSaveBlocker = strict('powerSaveBlocker', {
  start: (type: 'prevent-app-suspension' | 'prevent-display-sleep') => {
    started.set(++lastId, type);
    return lastId;
  },
  stop: (id: number) => started.delete(id),
  isStarted: (id: number) => started.has(id),
} satisfies Pick<Electron.PowerSaveBlocker, 'start' | 'stop' | 'isStarted'>);
