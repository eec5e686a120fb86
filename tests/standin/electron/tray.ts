// SPDX-License-Identifier: Apache-2.0
/** Tray icons: kept, not drawn. A test clicks with `tray.emit('click')`, or on an item of `tray.contextMenu`. */
import { record } from '../record.ts';
import { StrictEmitter } from '../strict.ts';
import type { Menu } from './menu.ts';
import type { Conforms } from '../conforms.ts';

export class Tray extends StrictEmitter {
  protected static override readonly provided = ['click', 'right-click', 'double-click'];
  /** Of the stand-in: what was set last. */
  image: unknown;
  toolTip = '';
  title = '';
  contextMenu: Menu | null = null;
  #isDestroyed = false;

  constructor(image: unknown) {
    super();
    this.image = image;
    record.trays.push(this);
  }

  setImage(image: unknown): void {
    this.image = image;
  }

  setToolTip(toolTip: string): void {
    this.toolTip = toolTip;
  }

  setTitle(title: string): void {
    this.title = title;
  }

  getTitle(): string {
    return this.title;
  }

  setContextMenu(menu: Menu | null): void {
    this.contextMenu = menu;
  }

  popUpContextMenu(menu = this.contextMenu): void {
    menu?.popup();
  }

  destroy(): void {
    this.#isDestroyed = true;
  }

  isDestroyed(): boolean {
    return this.#isDestroyed;
  }
}

export type CheckedTray = Conforms<
  Pick<Electron.Tray, 'setImage' | 'setToolTip' | 'setTitle' | 'getTitle' | 'destroy' | 'isDestroyed'>,
  Tray
>;
