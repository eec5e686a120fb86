// SPDX-License-Identifier: Apache-2.0
/** Menus: trees of items that can be looked up and clicked. Nothing is drawn. */
import type { MenuItemConstructorOptions } from 'electron';
import { record } from '../record.ts';
import { StrictEmitter, StrictObject } from '../strict.ts';
import { menuChanged } from './accelerators.ts';
import { roleOf, type RoleActions } from './menu-roles.ts';
import type { Conforms } from '../conforms.ts';

type ItemType = NonNullable<MenuItemConstructorOptions['type']>;

let lastCommandId = 0;
let actions: RoleActions | null = null;
let focusedWindow: () => object | undefined = () => undefined;

/** What roles do, and whom a click is told about. */
export function provideActions(given: RoleActions, focused: () => object | undefined): void {
  actions = given;
  focusedWindow = focused;
}

export class MenuItem extends StrictObject {
  readonly id: string;
  readonly label: string;
  readonly sublabel: string;
  readonly toolTip: string;
  readonly role: string | undefined;
  readonly type: ItemType;
  readonly accelerator: string | undefined;
  readonly icon: unknown;
  readonly submenu: Menu | null;
  readonly commandId = ++lastCommandId;
  readonly registerAccelerator: boolean;
  readonly acceleratorWorksWhenHidden: boolean;
  readonly userAccelerator = null;
  enabled: boolean;
  visible: boolean;
  checked: boolean;
  menu: Menu | null = null;
  /** Called as a user's click: `click()` from a test does the same. */
  readonly click: (event?: object, window?: object) => void;
  readonly #given: MenuItemConstructorOptions['click'];

  constructor(options: MenuItemConstructorOptions) {
    super();
    const role = roleOf(options.role);
    const submenu = options.submenu ?? role?.submenu;
    this.id = options.id ?? '';
    this.label = options.label ?? role?.label ?? '';
    this.sublabel = options.sublabel ?? '';
    this.toolTip = options.toolTip ?? '';
    this.role = options.role?.toLowerCase();
    this.type = options.type ?? (submenu === undefined ? 'normal' : 'submenu');
    this.accelerator = options.accelerator;
    this.icon = options.icon;
    this.enabled = options.enabled ?? true;
    this.visible = options.visible ?? true;
    this.checked = options.checked ?? false;
    this.registerAccelerator = options.registerAccelerator ?? true;
    this.acceleratorWorksWhenHidden = options.acceleratorWorksWhenHidden ?? true;
    this.submenu = submenu === undefined ? null : toMenu(submenu as readonly MenuItemConstructorOptions[] | Menu);
    this.#given = options.click;
    this.click = (event = {}, window = focusedWindow()) => this.#act(event, window);
  }

  /** Of the stand-in: the keys that press it. */
  get keys(): string | null {
    return this.registerAccelerator ? (this.accelerator ?? roleOf(this.role)?.accelerator ?? null) : null;
  }

  /** Of the stand-in. */
  press(triggeredByAccelerator: boolean): void {
    this.#act({ triggeredByAccelerator, ctrlKey: false, altKey: false, shiftKey: false, metaKey: false });
  }

  #act(event: object, window = focusedWindow()): void {
    if (!this.enabled) return;
    if (this.type === 'checkbox') this.checked = !this.checked;
    if (this.type === 'radio') this.#choose();
    const act = roleOf(this.role)?.act;
    // A role's own deed comes instead of a given click.
    if (act !== undefined) actions?.[act]();
    else if (this.role === undefined) this.#given?.(this as never, window as never, event);
  }

  /** Radio items that stand together exclude each other. */
  #choose(): void {
    const items = this.menu?.items ?? [this];
    const own = items.indexOf(this);
    const isRadio = (item: MenuItem): boolean => item.type === 'radio';
    const first = items.slice(0, own).findLastIndex((item) => !isRadio(item)) + 1;
    const after = items.slice(own).findIndex((item) => !isRadio(item));
    for (const item of items.slice(first, after < 0 ? undefined : own + after)) item.checked = item === this;
  }
}

export class Menu extends StrictEmitter {
  protected static override readonly provided = ['menu-will-show', 'menu-will-close'];
  readonly items: MenuItem[] = [];

  static buildFromTemplate(template: readonly (MenuItemConstructorOptions | MenuItem)[]): Menu {
    const menu = new Menu();
    for (const entry of template) menu.append(entry instanceof MenuItem ? entry : new MenuItem(entry));
    return menu;
  }

  static setApplicationMenu(menu: Menu | null): void {
    record.applicationMenu = menu;
    menuChanged();
  }

  static getApplicationMenu(): Menu | null {
    return record.applicationMenu;
  }

  append(item: MenuItem): void {
    this.insert(this.items.length, item);
  }

  insert(position: number, item: MenuItem): void {
    item.menu = this;
    this.items.splice(position, 0, item);
    if (record.applicationMenu !== null) menuChanged();
  }

  getMenuItemById(id: string): MenuItem | null {
    for (const item of this.items) {
      const found = item.id === id ? item : (item.submenu?.getMenuItemById(id) ?? null);
      if (found !== null) return found;
    }
    return null;
  }

  popup(): void {
    record.popups.push(this);
    this.emit('menu-will-show');
  }

  closePopup(): void {
    this.emit('menu-will-close');
  }
}

export type CheckedMenu = Conforms<Pick<Electron.Menu, 'popup' | 'closePopup'>, Menu>;

function toMenu(submenu: readonly MenuItemConstructorOptions[] | Menu): Menu {
  return submenu instanceof Menu ? submenu : Menu.buildFromTemplate(submenu);
}
