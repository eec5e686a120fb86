// SPDX-License-Identifier: Apache-2.0
/**
 * The desktop app as it is built, driven by Playwright's own means for Electron. Which executable runs it is the only
 * difference between the stand-in and a real one: `npm run test:electron` takes the latter.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { _electron, type ElectronApplication, type Page } from 'playwright-core';
import { EXECUTABLE, RUNTIME } from '../../standin/launch.ts';
import type { VirtualScreen } from '../../standin/virtual-screen.ts';
import type { RunningApp } from './vehicle.ts';

const root = join(import.meta.dirname, '..', '..', '..');
export const BUILT_APP = join(root, 'out', 'app');

export const isReal = process.env['GODWIT_TEST_ELECTRON'] === 'real';
export const RUNTIME_NAME = isReal ? 'Electron' : 'the stand-in for Electron';
/** What runs it, for starts without Playwright. */
export const RUNTIME_EXECUTABLE = isReal
  ? join(process.env['ELECTRON_OVERRIDE_DIST_PATH'] ?? join(root, 'node_modules', 'electron', 'dist'), 'electron')
  : EXECUTABLE;
const WAIT = { timeout: 30_000 };

export interface DesktopOptions {
  /** A folder with the app; by default the checkout's build. */
  readonly app?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class DesktopApp implements RunningApp {
  readonly home: string;
  readonly #screen: VirtualScreen;
  readonly #options: DesktopOptions;
  #launched: ElectronApplication | undefined;
  #process: ChildProcess | undefined;

  private constructor(home: string, screen: VirtualScreen, options: DesktopOptions) {
    this.home = home;
    this.#screen = screen;
    this.#options = options;
  }

  /** With a home of its own. */
  static async start(screen: VirtualScreen, options: DesktopOptions = {}): Promise<DesktopApp> {
    const app = new DesktopApp(mkdtempSync(join(tmpdir(), 'godwit-e2e-')), screen, options);
    await app.open();
    return app;
  }

  async open(args: readonly string[] = this.#options.args ?? []): Promise<void> {
    if (!isReal) process.env['ELECTRON_OVERRIDE_DIST_PATH'] = RUNTIME;
    this.#launched = await _electron.launch({
      args: [this.#options.app ?? BUILT_APP, ...args],
      env: this.environment,
      // The app's theme is not overruled by Playwright.
      colorScheme: null,
      ...WAIT,
    });
    // Kept: Playwright forgets it when it ends.
    this.#process = this.#launched.process();
  }

  /** Of its process, and for what is to meet it. */
  get environment(): Record<string, string> {
    const inherited = Object.entries(process.env).filter(([, value]) => value !== undefined);
    return {
      ...(Object.fromEntries(inherited) as Record<string, string>),
      GODWIT_HOME: this.home,
      DISPLAY: this.#screen.display,
      ...this.#options.env,
    };
  }

  get electron(): ElectronApplication {
    if (this.#launched === undefined) throw new Error('the app is used after its end');
    return this.#launched;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  async page(): Promise<Page> {
    const page = await this.electron.firstWindow(WAIT);
    await page.getByRole('heading', { name: 'Machines' }).waitFor(WAIT);
    return page;
  }

  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    this.#launched = undefined;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  async dispose(): Promise<void> {
    await this.end();
    rmSync(this.home, { recursive: true, force: true });
  }
}
