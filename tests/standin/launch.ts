// SPDX-License-Identifier: Apache-2.0
/** Starts an app in the stand-in by Playwright's own means, with folders of its own. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { _electron, type ElectronApplication } from 'playwright-core';

/** What `require('electron')` answers is in here; real Electron is used where the variable is unset. */
export const RUNTIME = join(import.meta.dirname, 'runtime');
export const EXECUTABLE = join(RUNTIME, 'electron');

const WAIT_MS = 30_000;

export interface LaunchOptions {
  /** A folder with package.json, or a file. */
  readonly app: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The screen to use; without one it runs headless. */
  readonly display?: string;
}

export class Launched {
  readonly app: ElectronApplication;
  /** Everything below it is deleted at the end: the folders for user data and for temporary files. */
  readonly home: string;
  readonly process: ChildProcess;
  readonly #output: string[] = [];

  private constructor(app: ElectronApplication, home: string) {
    this.app = app;
    this.home = home;
    this.process = app.process();
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (chunk: Buffer) => this.#output.push(chunk.toString()));
    }
  }

  static async start(options: LaunchOptions): Promise<Launched> {
    process.env['ELECTRON_OVERRIDE_DIST_PATH'] = RUNTIME;
    const home = privateHome();
    const app = await _electron
      .launch({
        args: [options.app, ...(options.args ?? [])],
        env: environment(home, options),
        // The app's theme is not overruled by Playwright.
        colorScheme: null,
        timeout: WAIT_MS,
      })
      .catch((error: unknown) => {
        rmSync(home, { recursive: true, force: true });
        throw error;
      });
    return new Launched(app, home);
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  get output(): string {
    return this.#output.join('');
  }

  get temporaryFiles(): string[] {
    return readdirSync(join(this.home, 'tmp'));
  }

  /** Resolves when the process has ended, whoever ends it. */
  ended(): Promise<void> {
    const child = this.process;
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => child.once('exit', () => resolve()));
  }

  async dispose(): Promise<void> {
    // An app that does not want to quit must.
    await this.app.evaluate(({ app }) => app.exit(0)).catch(() => undefined);
    await this.app.close();
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** A folder with what an app needs below it. Paths of sockets are short: it is not nested deeper. */
export function privateHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'gw-app-'));
  mkdirSync(join(home, 'tmp'));
  return home;
}

/** Of a process in that home, which has no other screen than the given one. */
export function environment(home: string, { env = {}, display }: Partial<LaunchOptions>): Record<string, string> {
  const inherited = Object.entries(process.env).filter(([name, value]) => value !== undefined && name !== 'DISPLAY');
  return {
    ...(Object.fromEntries(inherited) as Record<string, string>),
    ...(display === undefined ? {} : { DISPLAY: display }),
    XDG_CONFIG_HOME: join(home, 'config'),
    TMPDIR: join(home, 'tmp'),
    ...env,
  };
}
