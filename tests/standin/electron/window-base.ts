// SPDX-License-Identifier: Apache-2.0
/** What a window is apart from its page: its place, whether it is seen, and which of them has the focus. */
import type { Rectangle } from '../chromium/targets.ts';
import { StrictEmitter } from '../strict.ts';
import { screen } from './screen.ts';
import { WindowGeometry } from './window-geometry.ts';

const DEFAULT_SIZE = { width: 800, height: 600 };

let focused: WindowBase | null = null;

/** The window that has the focus. */
export const focusedWindow = (): WindowBase | null => focused;

const takeFocus = (window: WindowBase | null): void => {
  focused = window;
};

export class WindowBase extends StrictEmitter {
  protected readonly geometry: WindowGeometry;
  #state: 'normal' | 'maximized' | 'fullscreen' = 'normal';
  #isMinimized = false;
  #isVisible = false;
  #isDestroyed = false;
  #minimum: [number, number];

  constructor(options: Electron.BrowserWindowConstructorOptions) {
    super();
    this.geometry = new WindowGeometry(startingBounds(options), (change) => this.emit(change));
    this.#minimum = [options.minWidth ?? 0, options.minHeight ?? 0];
  }

  show(): void {
    this.showInactive();
    this.focus();
  }

  showInactive(): void {
    this.#alive();
    if (this.#isVisible && !this.#isMinimized) return;
    this.#isVisible = true;
    this.restore();
    this.emit('show');
  }

  hide(): void {
    this.#alive();
    this.blur();
    if (!this.#isVisible) return;
    this.#isVisible = false;
    this.emit('hide');
  }

  focus(): void {
    this.#alive();
    if (focused === this || !this.#isVisible) return;
    focused?.blur();
    takeFocus(this);
    this.emit('focus');
  }

  blur(): void {
    if (focused !== this) return;
    focused = null;
    this.emit('blur');
  }

  isFocused(): boolean {
    return focused === this;
  }

  isVisible(): boolean {
    this.#alive();
    return this.#isVisible;
  }

  minimize(): void {
    this.#alive();
    if (this.#isMinimized) return;
    this.blur();
    this.#isMinimized = true;
    this.emit('minimize');
  }

  restore(): void {
    this.#alive();
    if (!this.#isMinimized) return;
    this.#isMinimized = false;
    this.emit('restore');
  }

  isMinimized(): boolean {
    return this.#isMinimized;
  }

  maximize(): void {
    this.#alive();
    if (this.#state === 'maximized') return;
    this.#state = 'maximized';
    this.geometry.set(screen.getDisplayMatching(this.geometry.normal).workArea, false);
    this.emit('maximize');
    // As in Electron, a window that is maximised is shown.
    if (!this.#isVisible) this.show();
  }

  unmaximize(): void {
    this.#alive();
    if (this.#state !== 'maximized') return;
    this.#state = 'normal';
    this.geometry.set(this.geometry.normal, true);
    this.emit('unmaximize');
  }

  isMaximized(): boolean {
    return this.#state === 'maximized';
  }

  setFullScreen(flag: boolean): void {
    this.#alive();
    if (flag === this.isFullScreen()) return;
    this.#state = flag ? 'fullscreen' : 'normal';
    const whole = screen.getDisplayMatching(this.geometry.normal).bounds;
    this.geometry.set(flag ? whole : this.geometry.normal, !flag);
    this.emit(flag ? 'enter-full-screen' : 'leave-full-screen');
  }

  isFullScreen(): boolean {
    return this.#state === 'fullscreen';
  }

  getBounds(): Rectangle {
    this.#alive();
    return this.geometry.bounds;
  }

  getNormalBounds(): Rectangle {
    this.#alive();
    return this.geometry.normal;
  }

  getContentBounds(): Rectangle {
    return this.getBounds();
  }

  setBounds(bounds: Partial<Rectangle>): void {
    this.#alive();
    this.#state = 'normal';
    const { x, y, width, height } = { ...this.geometry.bounds, ...bounds };
    const [minWidth, minHeight] = this.#minimum;
    this.geometry.set({ x, y, width: Math.max(width, minWidth), height: Math.max(height, minHeight) }, true);
  }

  setSize(width: number, height: number): void {
    this.setBounds({ width, height });
  }

  getSize(): [number, number] {
    const { width, height } = this.getBounds();
    return [width, height];
  }

  setPosition(x: number, y: number): void {
    this.setBounds({ x, y });
  }

  getPosition(): [number, number] {
    const { x, y } = this.getBounds();
    return [x, y];
  }

  setMinimumSize(width: number, height: number): void {
    this.#minimum = [width, height];
  }

  getMinimumSize(): [number, number] {
    return [...this.#minimum];
  }

  isDestroyed(): boolean {
    return this.#isDestroyed;
  }

  protected refreshBounds(): void {
    this.geometry.refresh(this.#state === 'normal').catch(() => undefined);
  }

  /** Answers false where that has been done before. */
  protected markDestroyed(): boolean {
    if (this.#isDestroyed) return false;
    this.#isDestroyed = true;
    if (focused === this) focused = null;
    return true;
  }

  #alive(): void {
    if (this.#isDestroyed) throw new TypeError('Object has been destroyed');
  }
}

function startingBounds(options: Electron.BrowserWindowConstructorOptions): Rectangle {
  const { minWidth = 0, minHeight = 0 } = options;
  const width = Math.max(options.width ?? DEFAULT_SIZE.width, minWidth);
  const height = Math.max(options.height ?? DEFAULT_SIZE.height, minHeight);
  const { workArea } = screen.getPrimaryDisplay();
  // In the middle where nothing else is asked for.
  const x = options.x ?? workArea.x + Math.max(0, Math.round((workArea.width - width) / 2));
  const y = options.y ?? workArea.y + Math.max(0, Math.round((workArea.height - height) / 2));
  return { x, y, width, height };
}
