// SPDX-License-Identifier: Apache-2.0
/** A window with a page. */
import type { Connected } from '../host.ts';
import { host } from '../host.ts';
import { record } from '../record.ts';
import { preventable, type Preventable } from './event.ts';
import { lifecycle, openWindows } from './lifecycle.ts';
import { WebContents } from './web-contents.ts';
import { focusedWindow, WindowBase } from './window-base.ts';
import type { Conforms } from '../conforms.ts';

let lastId = 0;

export class BrowserWindow extends WindowBase {
  protected static override readonly provided = [
    ...['ready-to-show', 'close', 'closed', 'show', 'hide', 'focus', 'blur', 'resize', 'move', 'minimize', 'restore'],
    ...['maximize', 'unmaximize', 'enter-full-screen', 'leave-full-screen', 'page-title-updated'],
    // Never emitted here.
    ...['unresponsive', 'responsive', 'session-end', 'query-session-end', 'moved', 'resized', 'app-command'],
  ];
  readonly id = ++lastId;
  readonly webContents: WebContents;
  #title: string;
  /** Of the stand-in: what was set last. */
  progress = -1;
  isFlashing = false;

  constructor(options: Electron.BrowserWindowConstructorOptions = {}) {
    if (!lifecycle.isReady) throw new Error('Cannot create BrowserWindow before app is ready');
    super(options);
    record.windows.push({ id: this.id, options });
    this.#title = options.title ?? host.app.name;
    const opened = host.connected.then(({ targets }) => targets.open(this.geometry.bounds));
    const targets = host.connected.then((connected: Connected) => connected.targets);
    this.webContents = new WebContents(options.webPreferences ?? {}, targets, opened, async (target, page) => {
      await this.geometry.connect(await targets, target, page);
    });
    openWindows.add(this);
    this.#follow();
    lifecycle.created('browser-window', this);
    if (options.show ?? true) queueMicrotask(() => this.show());
    if (options.fullscreen === true) this.setFullScreen(true);
  }

  static getAllWindows(): BrowserWindow[] {
    return [...openWindows] as BrowserWindow[];
  }

  static getFocusedWindow(): BrowserWindow | null {
    return focusedWindow() as BrowserWindow | null;
  }

  static fromWebContents(contents: WebContents): BrowserWindow | null {
    return BrowserWindow.getAllWindows().find(({ webContents }) => webContents === contents) ?? null;
  }

  static fromId(id: number): BrowserWindow | null {
    return BrowserWindow.getAllWindows().find((window) => window.id === id) ?? null;
  }

  loadURL(url: string): Promise<void> {
    return this.webContents.loadURL(url);
  }

  loadFile(path: string): Promise<void> {
    return this.webContents.loadFile(path);
  }

  reload(): void {
    this.webContents.reload();
  }

  close(): void {
    if (this.isDestroyed()) return;
    const event: Preventable = preventable({});
    this.emit('close', event);
    if (event.defaultPrevented) lifecycle.closePrevented();
    else this.destroy();
  }

  destroy(): void {
    if (!this.markDestroyed()) return;
    openWindows.delete(this);
    this.webContents.close();
    this.emit('closed');
    lifecycle.windowClosed();
  }

  setTitle(title: string): void {
    this.#title = title;
  }

  getTitle(): string {
    return this.#title;
  }

  setProgressBar(progress: number): void {
    this.progress = progress;
  }

  flashFrame(flag: boolean): void {
    this.isFlashing = flag;
  }

  /** Windows draw no menu. */
  setMenu(): void {
    // Nothing to draw.
  }

  removeMenu(): void {
    // Nothing to draw.
  }

  setMenuBarVisibility(): void {
    // Nothing to draw.
  }

  setBackgroundColor(): void {
    // Seen before the first page only.
  }

  setIcon(): void {
    // Nothing to draw.
  }

  #follow(): void {
    const { webContents } = this;
    webContents.once('did-finish-load', () => {
      if (!this.isDestroyed()) this.emit('ready-to-show');
    });
    webContents.on('page-title-updated', (_event: object, title: string) => {
      const event = preventable({});
      this.emit('page-title-updated', event, title, true);
      if (!event.defaultPrevented) this.#title = title;
    });
    webContents.on('destroyed', () => this.destroy());
    webContents.onResized(() => this.refreshBounds());
  }
}

type Shown = 'show' | 'showInactive' | 'hide' | 'focus' | 'blur' | 'isFocused' | 'isVisible' | 'isDestroyed';
type Placed = 'minimize' | 'restore' | 'isMinimized' | 'maximize' | 'unmaximize' | 'isMaximized' | 'isFullScreen';
type Sized = 'getBounds' | 'setBounds' | 'getNormalBounds' | 'getSize' | 'setSize' | 'setFullScreen' | 'setMinimumSize';
type Titled = 'loadURL' | 'close' | 'destroy' | 'setTitle' | 'getTitle' | 'setProgressBar' | 'flashFrame' | 'id';
export type CheckedBrowserWindow = Conforms<
  Pick<Electron.BrowserWindow, Shown | Placed | Sized | Titled>,
  BrowserWindow
>;
