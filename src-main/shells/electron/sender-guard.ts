// SPDX-License-Identifier: Apache-2.0
/** Who may speak over the page's channels: the top frame of our window, showing our document. */
import { isOurs } from './app-address.ts';

/** The part of Electron's frames that counts. */
export interface SenderFrame {
  readonly url: string;
  readonly parent: object | null;
}

export interface SentEvent<Contents extends { readonly mainFrame: object }> {
  readonly sender: Contents;
  /** Null where the frame is gone, or has navigated since. */
  readonly senderFrame: SenderFrame | null;
}

/** `isWindow`: whether these are the contents of our window. */
export function isOurPage<Contents extends { readonly mainFrame: object }>(
  { sender, senderFrame }: SentEvent<Contents>,
  isWindow: (contents: Contents) => boolean,
): boolean {
  return (
    senderFrame !== null &&
    isWindow(sender) &&
    senderFrame.parent === null &&
    senderFrame === sender.mainFrame &&
    isOurs(senderFrame.url)
  );
}
