// SPDX-License-Identifier: Apache-2.0
/** Chromium as a child process. However the stand-in ends, Chromium ends too and its profile is deleted. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const CHROMIUM = process.env['GODWIT_STANDIN_CHROMIUM'] ?? '/usr/bin/chromium';

/** Without a network, and with nothing on the screen but the windows that the app opens. */
const FLAGS = [
  ...['--no-first-run', '--no-default-browser-check', '--disable-background-networking', '--disable-component-update'],
  ...['--disable-sync', '--disable-quic', '--disable-gpu', '--disable-extensions', '--disable-breakpad'],
  ...['--disable-crash-reporter', '--password-store=basic', '--use-mock-keychain', '--disable-back-forward-cache'],
  ...['--disable-backgrounding-occluded-windows', '--disable-renderer-backgrounding', '--disable-infobars'],
  // Windows are opened one by one, and the browser outlives the last of them, as Electron does.
  ...['--no-startup-window', '--keep-alive-for-test'],
  // All frames of a page are in one target, and no address leads anywhere.
  ...['--disable-site-isolation-trials', '--host-resolver-rules=MAP * ~NOTFOUND'],
  // No bar above the page that warns of these flags: the app's window has none.
  '--test-type',
];
/** A spare renderer would be one that belongs to no window. */
const DISABLED_FEATURES = ['SpareRendererForSitePerProcess', 'Translate', 'MediaRouter', 'HttpsUpgrades'];

/**
 * Waits until its input closes, which also happens when the stand-in is killed; then ends Chromium's process group
 * ($1), and deletes the profile ($2) until nothing writes into it any more.
 */
const WATCHER = `read -r _; kill -KILL -- "-$1" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9; do rm -rf -- "$2" 2>/dev/null; sleep 0.05; [ -e "$2" ] || exit 0; done`;

export interface ChromiumOptions {
  readonly debuggingPort: number;
  readonly switches: ReadonlyMap<string, string>;
}

export class ChromiumProcess {
  readonly isHeadless: boolean;
  readonly #child: ChildProcess;
  readonly #watcher: ChildProcess;
  readonly #profile: string;
  readonly #exited: Promise<void>;

  constructor({ debuggingPort, switches }: ChromiumOptions) {
    this.isHeadless = (process.env['DISPLAY'] ?? '') === '';
    this.#profile = mkdtempSync(join(tmpdir(), 'gw-si-'));
    preferences(this.#profile);
    const args = [...this.#common(), ...FLAGS, `--remote-debugging-port=${debuggingPort}`, '--remote-debugging-pipe'];
    const stdio = ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] as const;
    // A process group of its own, to be ended as a whole.
    this.#child = spawn(CHROMIUM, [...args, ...passedOn(switches)], {
      stdio: [...stdio],
      env: this.#environment(),
      detached: true,
    });
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    const watched = [String(this.#child.pid), this.#profile];
    this.#watcher = spawn('sh', ['-c', WATCHER, 'sh', ...watched], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
  }

  get pipe(): { output: Writable; input: Readable } {
    return { output: this.#child.stdio[3] as Writable, input: this.#child.stdio[4] as Readable };
  }

  /** The address that Chromium prints for other clients of its DevTools. */
  endpoint(): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = '';
      this.#child.stderr?.on('data', (chunk: Buffer) => {
        text = `${text}${chunk.toString()}`.slice(-20_000);
        const found = /DevTools listening on (ws:\/\/\S+)/.exec(text);
        if (found?.[1] !== undefined) resolve(found[1]);
      });
      this.#child.once('error', reject);
      this.#child.once('exit', () => reject(new Error(`Chromium ended: ${text}`)));
    });
  }

  onExit(listener: () => void): void {
    this.#child.once('exit', listener);
  }

  /** Opens one more window without tabs and address bar: a second start hands the wish to the running browser. */
  openAppWindow(url: string): void {
    spawn(CHROMIUM, [...this.#common(), `--app=${url}`], { stdio: 'ignore', env: this.#environment() });
  }

  /** Ends it and waits until nothing of it is left. */
  async end(): Promise<void> {
    this.#kill();
    await this.#exited;
    const watcherEnded = new Promise((resolve) => this.#watcher.once('exit', resolve));
    this.#watcher.stdin?.end();
    await watcherEnded;
  }

  /** For the moment before process.exit, when nothing can be waited for; the watcher deletes what is still there. */
  endNow(): void {
    this.#kill();
    try {
      rmSync(this.#profile, { recursive: true, force: true });
    } catch {
      // Chromium is still writing.
    }
  }

  #kill(): void {
    try {
      process.kill(-(this.#child.pid ?? NaN), 'SIGKILL');
    } catch {
      // It has ended.
    }
  }

  /** What Chromium leaves in its folder for temporary files goes with the profile. */
  #environment(): NodeJS.ProcessEnv {
    return { ...process.env, TMPDIR: join(this.#profile, 'tmp') };
  }

  #common(): string[] {
    const screen = process.env['GODWIT_STANDIN_SCREEN'] ?? '1400x900';
    return [
      `--user-data-dir=${this.#profile}`,
      // No bar in the window that warns of unusual flags.
      '--test-type',
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      ...(this.isHeadless ? ['--headless=new', `--screen-info={${screen}}`] : ['--ozone-platform=x11']),
    ];
  }
}

/** What the app and Playwright add; of the lists of features Chromium reads only the last. */
function passedOn(switches: ReadonlyMap<string, string>): string[] {
  const own = FLAGS.map((flag) => flag.slice(2).split('=')[0]);
  const isOurs = (name: string): boolean =>
    own.includes(name) || name.startsWith('inspect') || name.startsWith('remote-debugging') || name === 'app';
  const disabled = [...DISABLED_FEATURES, switches.get('disable-features') ?? ''].filter((name) => name !== '');
  const others = [...switches].filter(([name]) => !isOurs(name) && name !== 'disable-features');
  return [
    `--disable-features=${disabled.join(',')}`,
    ...others.map(([name, value]) => (value === '' ? `--${name}` : `--${name}=${value}`)),
  ];
}

/** No title bar drawn by Chromium itself where a window manager draws one, no bubbles. */
function preferences(profile: string): void {
  mkdirSync(join(profile, 'Default'));
  mkdirSync(join(profile, 'tmp'));
  const settings = { browser: { custom_chrome_frame: false }, profile: { exit_type: 'Normal' } };
  writeFileSync(join(profile, 'Default', 'Preferences'), JSON.stringify(settings));
}
