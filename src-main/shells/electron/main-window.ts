// SPDX-License-Identifier: Apache-2.0
/** The one window: made when it is wanted, made anew when its page died, and remembered where it was. */
import { BrowserWindow, screen, type WebContents } from 'electron';
import type { FeedMessage } from '../../../src-shared/desktop-bridge.ts';
import { channels } from '../../../src-shared/desktop-bridge.ts';
import { documentAddress, routeOfAddress } from './app-address.ts';
import { EventFeed } from './event-feed.ts';
import { PageDeaths } from './page-deaths.ts';
import { webPreferences } from './web-preferences.ts';
import { boundsOn, DEFAULT_SIZE, readWindowState, SMALLEST, writeWindowState } from './window-state.ts';

export interface MainWindowOptions {
  readonly preload: string;
  readonly icon: string;
  /** File in which its place is kept. */
  readonly statePath: string;
  readonly devTools: boolean;
  /** Whether closing it may go on; false where something else is decided first. */
  readonly mayClose: () => boolean;
  /** A page listens from here on. */
  readonly onFollow: () => void;
  /** The process of its page ended by itself. `again`: it is loaded anew. */
  readonly onPageDeath: (reason: string, again: boolean) => void;
}

export class MainWindow {
  readonly feed: EventFeed;
  readonly #options: MainWindowOptions;
  readonly #deaths = new PageDeaths();
  #window: BrowserWindow | undefined;
  /** The page ended too often to be loaded again by itself. */
  #blank = false;

  constructor(options: MainWindowOptions) {
    this.#options = options;
    this.feed = new EventFeed((message) => this.#send(message));
  }

  /** Brings it to the front, at a screen where one is given. */
  open(route?: string): void {
    const window = this.#window;
    if (window === undefined) {
      this.#make(route);
      return;
    }
    if (window.isMinimized()) window.restore();
    window.show();
    window.focus();
    // A page that is only being loaded gets its screen by its address.
    const isShown = route !== undefined && this.feed.show(route);
    if (!isShown && (route !== undefined || this.#blank)) void this.#load(window, route);
  }

  get isFocused(): boolean {
    return this.#window?.isFocused() === true;
  }

  /** For dialogs that belong to it. */
  get browserWindow(): BrowserWindow | undefined {
    return this.#window;
  }

  hide(): void {
    this.#window?.hide();
  }

  isContents(contents: WebContents): boolean {
    return this.#window?.webContents === contents;
  }

  /** Its page says that it is there. */
  followed(): void {
    this.feed.follow();
    this.#options.onFollow();
  }

  #make(route?: string): void {
    const { preload, icon, devTools, statePath } = this.#options;
    const kept = readWindowState(statePath);
    const screens = screen.getAllDisplays().map(({ workArea }) => workArea);
    const bounds = kept === null ? null : boundsOn(screens, kept);
    const window = new BrowserWindow({
      ...DEFAULT_SIZE,
      ...bounds,
      minWidth: SMALLEST.width,
      minHeight: SMALLEST.height,
      title: 'Godwit',
      icon,
      // Shown when it has something to show.
      show: false,
      webPreferences: webPreferences(preload, devTools),
    });
    this.#window = window;
    if (kept?.maximized === true) window.maximize();
    window.once('ready-to-show', () => window.show());
    window.on('close', (event) => {
      this.#keepState(window);
      if (!this.#options.mayClose()) event.preventDefault();
    });
    window.on('closed', () => {
      this.#window = undefined;
      this.feed.stop();
    });
    this.#watchPage(window);
    void this.#load(window, route);
  }

  #watchPage(window: BrowserWindow): void {
    const { webContents } = window;
    webContents.on('render-process-gone', (_event, { reason }) => {
      this.feed.stop();
      if (reason === 'clean-exit' || window.isDestroyed()) return;
      const again = this.#deaths.mayTryAgain(performance.now());
      this.#blank = !again;
      this.#options.onPageDeath(reason, again);
      // Where it was: a run that is under way is what its user wants to see.
      if (again) void this.#load(window, routeOfAddress(webContents.getURL()));
    });
    webContents.on('did-navigate', () => this.feed.stop());
  }

  async #load(window: BrowserWindow, route?: string): Promise<void> {
    this.#blank = false;
    // It fails where another load replaces it, or the window goes away: neither needs a word.
    await window.loadURL(documentAddress(route)).catch(() => undefined);
  }

  #keepState(window: BrowserWindow): void {
    const { x, y, width, height } = window.getNormalBounds();
    writeWindowState(this.#options.statePath, { bounds: { x, y, width, height }, maximized: window.isMaximized() });
  }

  #send(message: FeedMessage): void {
    const window = this.#window;
    if (window === undefined || window.isDestroyed()) return;
    window.webContents.send(channels.feed, message);
  }
}
