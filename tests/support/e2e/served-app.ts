// SPDX-License-Identifier: Apache-2.0
/** The app as a user has it: `godwit serve` in a process of its own, and a real Chromium in front of it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import type { RunningApp } from './vehicle.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const CHROMIUM = '/usr/bin/chromium';
const READY_WITHIN_MS = 30_000;

/** As root and without a network: no sandbox, no calls home. */
const BROWSER_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: BROWSER_FLAGS });
}

export class ServedApp implements RunningApp {
  readonly home: string;
  readonly #browser: Browser;
  readonly #contexts: BrowserContext[] = [];
  #process: ChildProcess | undefined;
  #output = '';

  private constructor(home: string, browser: Browser) {
    this.home = home;
    this.#browser = browser;
  }

  /** With a home of its own. */
  static async start(browser: Browser): Promise<ServedApp> {
    const app = new ServedApp(mkdtempSync(join(tmpdir(), 'godwit-e2e-')), browser);
    await app.open();
    return app;
  }

  /** Starts it, again where it was ended. Answers the milliseconds until its link was printed. */
  async open(): Promise<number> {
    this.#output = '';
    const began = performance.now();
    const child = spawn(process.execPath, [join(root, 'src-main/shells/cli/main.ts'), 'serve', '--port', '0'], {
      env: { ...process.env, GODWIT_HOME: this.home },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no link came: ${this.#output}`)), READY_WITHIN_MS);
      const take = (chunk: Buffer): void => {
        this.#output += chunk.toString();
        if (!/Godwit is ready: \S+\n/.test(this.#output)) return;
        clearTimeout(timer);
        resolve(performance.now() - began);
      };
      child.stdout.on('data', take);
      child.stderr.on('data', take);
      child.once('exit', () => reject(new Error(`godwit serve ended: ${this.#output}`)));
    });
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get link(): string {
    return /Godwit is ready: (\S+)/.exec(this.#output)?.[1] ?? '';
  }

  get origin(): string {
    return new URL(this.link).origin;
  }

  /** Opens the start link in a browser that has nothing of an earlier one. */
  async page(): Promise<Page> {
    const context = await this.#browser.newContext({ viewport: { width: 1280, height: 800 } });
    this.#contexts.push(context);
    const page = await context.newPage();
    await page.goto(this.link);
    await page.getByRole('heading', { name: 'Machines' }).waitFor();
    return page;
  }

  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  async dispose(): Promise<void> {
    for (const context of this.#contexts) await context.close();
    await this.end();
    rmSync(this.home, { recursive: true, force: true });
  }
}
