// SPDX-License-Identifier: Apache-2.0
/** The app as a user has it: `godwit serve` in a process of its own, and a real Chromium in front of it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';

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

export class ServedApp {
  readonly home: string;
  #process: ChildProcess | undefined;
  #output = '';

  private constructor(home: string) {
    this.home = home;
  }

  /** With a home of its own. */
  static async start(): Promise<ServedApp> {
    const app = new ServedApp(mkdtempSync(join(tmpdir(), 'godwit-e2e-')));
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

  /** Opens the start link; errors of the page are collected and are none at the end. */
  async page(browser: Browser, size = { width: 1280, height: 800 }): Promise<Page> {
    const context = await browser.newContext({ viewport: size });
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
    await this.end();
    rmSync(this.home, { recursive: true, force: true });
  }
}
