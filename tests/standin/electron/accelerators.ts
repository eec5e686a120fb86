// SPDX-License-Identifier: Apache-2.0
/** Keys of the application menu: read from their text, told to the pages, and pressed. */
import type { AcceleratorKeys } from '../page/messages.ts';
import { record } from '../record.ts';
import type { MenuItem } from './menu.ts';

const KEY_NAMES: Readonly<Record<string, string>> = {
  ...{ plus: '+', space: ' ', esc: 'escape', return: 'enter', up: 'arrowup', down: 'arrowdown' },
  ...{ left: 'arrowleft', right: 'arrowright' },
};
const MODIFIERS: Readonly<Record<string, 'ctrl' | 'alt' | 'shift' | 'meta'>> = {
  ...{ ctrl: 'ctrl', control: 'ctrl', cmdorctrl: 'ctrl', commandorcontrol: 'ctrl' },
  ...{ alt: 'alt', option: 'alt', shift: 'shift' },
  ...{ super: 'meta', meta: 'meta', cmd: 'meta', command: 'meta' },
} as const;

const listeners: (() => void)[] = [];
/** The items whose keys the pages know, by index. */
let offered: readonly MenuItem[] = [];

/** Reads `CmdOrCtrl+Shift+X`; throws where it means nothing. */
export function parseAccelerator(text: string): Omit<AcceleratorKeys, 'index'> {
  const parts = text.toLowerCase().split('+');
  const key = parts.pop() ?? '';
  const keys = { key: KEY_NAMES[key] ?? key, ctrl: false, alt: false, shift: false, meta: false };
  if (key === '') throw new Error(`'${text}' is no accelerator.`);
  for (const part of parts) {
    const modifier = MODIFIERS[part];
    if (modifier === undefined) throw new Error(`'${text}' is no accelerator.`);
    keys[modifier] = true;
  }
  return keys;
}

/** What pages listen for. */
export function applicationAccelerators(): readonly AcceleratorKeys[] {
  offered = allItems(record.applicationMenu?.items ?? []).filter(({ keys }) => keys !== null && keys !== '');
  return offered.map((item, index) => ({ index, ...parseAccelerator(item.keys ?? '') }));
}

/** A page has seen the keys of that item. */
export function pressAccelerator(index: number): void {
  const item = offered[index];
  if (item === undefined || !item.enabled || (!item.visible && !item.acceleratorWorksWhenHidden)) return;
  item.press(true);
}

export function onMenuChange(listener: () => void): void {
  listeners.push(listener);
}

export function menuChanged(): void {
  for (const listener of listeners) listener();
}

function allItems(items: readonly MenuItem[]): MenuItem[] {
  return items.flatMap((item) => [item, ...allItems(item.submenu?.items ?? [])]);
}
