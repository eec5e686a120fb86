// SPDX-License-Identifier: Apache-2.0
/** The app's life: ready, its windows, its end. */
import { host } from '../host.ts';
import { record } from '../record.ts';
import { strict, StrictEmitter } from '../strict.ts';
import { getPath, setPath } from './app-paths.ts';
import { preventable } from './event.ts';
import { lifecycle, openWindows } from './lifecycle.ts';
import { SingleInstance } from './single-instance.ts';
import type { Conforms } from '../conforms.ts';

export class App extends StrictEmitter {
  protected static override readonly provided = [
    ...['ready', 'window-all-closed', 'before-quit', 'will-quit', 'quit', 'second-instance', 'web-contents-created'],
    ...['browser-window-created', 'browser-window-focus', 'browser-window-blur'],
    // Never emitted here.
    ...['will-finish-launching', 'activate', 'open-url', 'open-file', 'child-process-gone', 'render-process-gone'],
    ...['certificate-error', 'login', 'select-client-certificate', 'continue-activity'],
  ];
  readonly commandLine = strict('app.commandLine', {
    appendSwitch: (name: string, value = '') => {
      record.switches.push({ name, value });
      host.switches.set(name, value);
    },
    hasSwitch: (name: string) => host.switches.has(name),
    getSwitchValue: (name: string) => host.switches.get(name) ?? '',
    removeSwitch: (name: string) => {
      host.switches.delete(name);
    },
  } satisfies Pick<Electron.CommandLine, 'appendSwitch' | 'hasSwitch' | 'getSwitchValue' | 'removeSwitch'>);

  #name: string | null = null;
  #isQuitting = false;
  #hasEnded = false;
  #resolveReady: () => void = () => undefined;
  readonly #ready = new Promise<void>((resolve) => {
    this.#resolveReady = resolve;
  });
  readonly #instance = new SingleInstance(process.execPath, ({ argv, cwd, additionalData }) =>
    this.emit('second-instance', preventable({}), argv, cwd, additionalData),
  );

  constructor() {
    super();
    lifecycle.windowClosed = () => this.#windowClosed();
    lifecycle.created = (what, made) => this.emit(`${what}-created`, preventable({}), made);
    lifecycle.closePrevented = () => {
      this.#isQuitting = false;
    };
  }

  /** Of the stand-in: the app's main module has been evaluated and the browser is there. */
  becomeReady(): void {
    lifecycle.isReady = true;
    this.#resolveReady();
    this.emit('ready', {}, {});
  }

  /** Of the stand-in: the app ended before there was a browser. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  whenReady(): Promise<void> {
    return this.#ready;
  }

  isReady(): boolean {
    return lifecycle.isReady;
  }

  enableSandbox(): void {
    if (lifecycle.isReady) throw new Error('app.enableSandbox() can only be called before app is ready');
    record.isSandboxEnabled = true;
  }

  requestSingleInstanceLock(additionalData: unknown = null): boolean {
    return this.#instance.request(getPath('userData'), { argv: process.argv, cwd: process.cwd(), additionalData });
  }

  hasSingleInstanceLock(): boolean {
    return this.#instance.isHeld;
  }

  releaseSingleInstanceLock(): void {
    this.#instance.release();
  }

  quit(): void {
    if (this.#isQuitting || this.#hasEnded) return;
    const event = preventable({});
    this.emit('before-quit', event);
    if (event.defaultPrevented) return;
    this.#isQuitting = true;
    if (openWindows.size === 0) {
      this.#finishQuit();
      return;
    }
    for (const window of [...openWindows]) {
      window.close();
      if (!this.isQuitting()) return;
    }
  }

  exit(code = 0): void {
    this.#isQuitting = true;
    this.#end(code);
    for (const window of [...openWindows]) window.destroy();
  }

  /** Of the stand-in; the compiler does not see that a listener may change it. */
  isQuitting(): boolean {
    return this.#isQuitting;
  }

  get isPackaged(): boolean {
    return host.isPackaged;
  }

  get name(): string {
    return this.getName();
  }

  set name(name: string) {
    this.setName(name);
  }

  getName(): string {
    return this.#name ?? host.app.name;
  }

  setName(name: string): void {
    this.#name = name;
  }

  getVersion(): string {
    return host.app.version;
  }

  getAppPath(): string {
    return host.app.path;
  }

  getPath(name: string): string {
    return getPath(name);
  }

  setPath(name: string, path: string): void {
    setPath(name, path);
  }

  getLocale(): string {
    return 'en-US';
  }

  setAsDefaultProtocolClient(protocol: string): boolean {
    record.protocolClients.push(protocol);
    return true;
  }

  setAboutPanelOptions(options: Electron.AboutPanelOptionsOptions): void {
    record.aboutPanel.options = options;
  }

  showAboutPanel(): void {
    record.aboutPanel.shown++;
  }

  /** Linux: the first window gets the focus. */
  focus(): void {
    const [first] = openWindows;
    (first as { focus(): void } | undefined)?.focus();
  }

  /** Windows only. */
  setAppUserModelId(): void {
    // Nothing to tell anybody.
  }

  #windowClosed(): void {
    if (openWindows.size > 0 || this.#hasEnded) return;
    if (this.#isQuitting) this.#finishQuit();
    else if (!this.emit('window-all-closed')) this.quit();
  }

  #finishQuit(): void {
    const event = preventable({});
    this.emit('will-quit', event);
    if (event.defaultPrevented) this.#isQuitting = false;
    else this.#end(0);
  }

  #end(code: number): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.emit('quit', preventable({}), code);
    this.#instance.release();
    host.end(code);
  }
}

type Checked = 'enableSandbox' | 'whenReady' | 'isReady' | 'requestSingleInstanceLock' | 'releaseSingleInstanceLock';
type CheckedToo = 'quit' | 'exit' | 'isPackaged' | 'getVersion' | 'getName' | 'setName' | 'getAppPath' | 'getLocale';
type CheckedAlso = 'setAsDefaultProtocolClient' | 'setAboutPanelOptions' | 'showAboutPanel' | 'focus';
export type CheckedApp = Conforms<Pick<Electron.App, Checked | CheckedToo | CheckedAlso>, App>;

export const app = new App();
