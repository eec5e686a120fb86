// SPDX-License-Identifier: Apache-2.0
/**
 * What the desktop shell puts into its window as `window.godwit`, and what goes over the channels beneath it. The
 * contract's calls and events pass through as they are; the few calls that only a desktop has are listed here.
 */
import { z } from 'zod';
import type { CallErrorData } from './contract.ts';

export const channels = {
  /** Page → main: a call of the contract. Arguments: name, input. */
  call: 'godwit:call',
  /** Page → main: a call of {@link desktopCalls}. Arguments: name, input. */
  desktop: 'godwit:desktop',
  /** Page → main: it is there, and wants events. */
  follow: 'godwit:follow',
  /** Page → main: how many messages of {@link channels.feed} it took since it follows. */
  taken: 'godwit:taken',
  /** Main → page: a {@link FeedMessage}. */
  feed: 'godwit:feed',
} as const;

export type FeedMessage =
  | { readonly kind: 'event'; readonly event: unknown }
  /** Events were left out: what is shown must be asked for again. */
  | { readonly kind: 'gap' }
  /** The menu, a notification or a link asks for this screen. */
  | { readonly kind: 'show'; readonly route: string };

export const desktopCalls = {
  /** Asks the user for a file. Null where the user chose none. */
  chooseFile: {
    input: z.strictObject({
      purpose: z.enum(['save-guest', 'open-guest']),
      /** Of the machine, for a file name to begin with. */
      name: z.string().min(1).max(100),
    }),
    output: z.object({ path: z.string().nullable() }),
  },
  /** The page may not use the clipboard itself: it is granted no permission at all. */
  copyText: { input: z.strictObject({ text: z.string() }), output: z.object({}) },
} as const;

export type DesktopCallName = keyof typeof desktopCalls;
export type DesktopCallInput<Name extends DesktopCallName> = z.input<(typeof desktopCalls)[Name]['input']>;
export type DesktopCallOutput<Name extends DesktopCallName> = z.output<(typeof desktopCalls)[Name]['output']>;

/** A call's end: over this border an error is data, since Electron keeps only the message of one that is thrown. */
export type Answer = { readonly output: unknown } | { readonly error: CallErrorData };

/** `window.godwit`. Checks nothing: main checks what comes in, and the page what it gets. */
export interface DesktopBridge {
  call(name: string, input: unknown): Promise<Answer>;
  desktop(name: string, input: unknown): Promise<Answer>;
  /** Calls `listener` with every message from now on, in order. May be called once. */
  follow(listener: (message: FeedMessage) => void): void;
}
