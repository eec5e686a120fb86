// SPDX-License-Identifier: Apache-2.0
/** What windows and the app must know of each other. */

interface Closable {
  close(): void;
  destroy(): void;
}

/** Open windows, oldest first. */
export const openWindows = new Set<Closable>();

export const lifecycle = {
  isReady: false,
  /** A window has closed. The app sets it. */
  windowClosed: (): void => undefined,
  /** Web contents, or a window, have been made. The app sets it. */
  created: (_what: 'web-contents' | 'browser-window', _made: object): void => undefined,
  /** A window refused to close. The app sets it. */
  closePrevented: (): void => undefined,
};
