// SPDX-License-Identifier: Apache-2.0
/** What the isolated world of a page and the main process say to each other. */

import type { Opening } from './window-opening.ts';

/** Navigations that Chromium itself performs; for others it asks the desktop for a program. */
export const PERFORMED = /^(?:https?|file|data|blob|about|javascript):/i;

/** The binding through which the page speaks, and the function through which it hears. */
export const BINDING = '__standinSend';
export const RECEIVER = '__standinReceive';
export const WORLD = 'Electron Isolated Context';

export type FromPage =
  | { readonly is: 'invoke'; readonly id: number; readonly channel: string; readonly args: readonly unknown[] }
  | { readonly is: 'send'; readonly channel: string; readonly args: readonly unknown[] }
  | { readonly is: 'accelerator'; readonly index: number }
  | ({ readonly is: 'opening' } & Opening)
  | { readonly is: 'foreign'; readonly url: string }
  | { readonly is: 'resized' }
  | { readonly is: 'titled'; readonly title: string }
  | { readonly is: 'preload-error'; readonly message: string; readonly stack: string };

export type ToPage =
  | { readonly is: 'reply'; readonly id: number; readonly ok: boolean; readonly value: unknown }
  | { readonly is: 'event'; readonly channel: string; readonly args: readonly unknown[] }
  | { readonly is: 'accelerators'; readonly keys: readonly AcceleratorKeys[] };

/** A parsed accelerator; `index` names the menu item. */
export interface AcceleratorKeys {
  readonly index: number;
  readonly key: string;
  readonly ctrl: boolean;
  readonly alt: boolean;
  readonly shift: boolean;
  readonly meta: boolean;
}
