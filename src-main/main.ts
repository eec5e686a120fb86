// SPDX-License-Identifier: Apache-2.0
/** Entry of the desktop app: Electron's main process. */
import { startDesktop } from './shells/electron/desktop.ts';

startDesktop();
