// SPDX-License-Identifier: Apache-2.0
/** The desktop app: one window in front of one manager, in one process of Electron a user. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { app, clipboard, dialog, Menu, protocol, session } from 'electron';
import type { CallOutput, EventEnvelope, Settings } from '../../../src-shared/contract.ts';
import { DEFAULT_SETTINGS } from '../../../src-shared/contract.ts';
import type { Manager } from '../../manager/manager.ts';
import { configDirPath } from '../../manager/paths.ts';
import { lastNotices } from '../last-notices.ts';
import { routeOfArguments, SCHEME } from './app-address.ts';
import { screensHandler } from './app-protocol.ts';
import { isCommand, runCommand, userArguments } from './command-line.ts';
import { chooseFile } from './file-dialogs.ts';
import { serveIpc } from './ipc.ts';
import { MainWindow } from './main-window.ts';
import { applicationMenu } from './menu.ts';
import { notifier } from './notifications.ts';
import { guardPage, guardSession } from './page-guard.ts';
import { Quit } from './quit.ts';
import { stayAwakeDuringRuns } from './stay-awake.ts';
import { TrayIcon } from './tray.ts';
import { startUtilityProcess } from './utility-process.ts';

/** The tree is the same in a checkout's build and in a package. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const icon = (size: number): string => join(ROOT, 'assets', 'icons', `${String(size)}x${String(size)}.png`);

/**
 * Starts it, or hands over to the one that runs. Does not wait: Electron gets ready only when the main module is done.
 */
export function startDesktop(): void {
  const args = userArguments(process.argv, process.defaultApp);
  if (isCommand(args)) {
    void runCommand(args).then((code) => app.exit(code));
    return;
  }
  // Before anything else: two processes must not share a folder of Chromium's.
  app.setPath('userData', join(configDirPath(), 'desktop'));
  if (!app.requestSingleInstanceLock()) {
    app.quit();
    return;
  }
  app.enableSandbox();
  protocol.registerSchemesAsPrivileged([
    { scheme: SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true } },
  ]);
  app.on('web-contents-created', (_event, contents) => guardPage(contents));
  if (app.isPackaged) app.setAsDefaultProtocolClient('godwit');
  new Desktop(routeOfArguments(args)).start();
}

class Desktop {
  readonly #firstRoute: string | undefined;
  readonly #manager = Promise.withResolvers<Manager>();
  readonly #window: MainWindow;
  readonly #quit: Quit;
  readonly #tray: TrayIcon;
  #settings: Settings = DEFAULT_SETTINGS;

  constructor(firstRoute: string | undefined) {
    this.#firstRoute = firstRoute;
    this.#window = new MainWindow({
      preload: join(import.meta.dirname, 'preload.cjs'),
      icon: icon(256),
      statePath: join(configDirPath(), 'window.json'),
      devTools: !app.isPackaged,
      mayClose: () => this.#quit.mayClose(),
      onFollow: () => void this.#tellMissed(),
      onPageDeath: (reason, again) => this.#pageDied(reason, again),
    });
    this.#quit = new Quit({
      manager: this.#manager.promise,
      window: () => this.#window.browserWindow,
      hideWindow: () => this.#window.hide(),
      hasTray: () => this.#tray.isShown,
    });
    this.#tray = new TrayIcon({ icon: icon(32), open: (route) => this.#open(route), quit: () => app.quit() });
  }

  start(): void {
    app.on('second-instance', (_event, argv) => this.#open(routeOfArguments(argv)));
    serveIpc({
      manager: this.#manager.promise,
      window: this.#window,
      desktop: {
        chooseFile: async (input) => ({ path: await chooseFile(this.#window.browserWindow, input) }),
        copyText: async ({ text }) => {
          await clipboard.writeText(text);
          return {};
        },
      },
    });
    // Nobody has to wait for it; the window says what went wrong.
    this.#manager.promise.catch(() => undefined);
    void app.whenReady().then(() => {
      guardSession(session.defaultSession);
      protocol.handle(SCHEME, screensHandler(join(ROOT, 'out', 'renderer')));
      this.#setMenu();
      this.#window.open(this.#firstRoute);
      // The window is on its way before the manager is loaded.
      void this.#startManager();
    });
  }

  async #startManager(): Promise<void> {
    try {
      const { createManager } = await import('../../manager/core.ts');
      const manager = await createManager({
        version: app.getVersion(),
        vehicle: 'desktop',
        startAttached: startUtilityProcess,
      });
      manager.onEvent((event) => this.#window.feed.push(event));
      const listeners = [this.#notifier(), stayAwakeDuringRuns(), (event: EventEnvelope) => this.#take(event)];
      for (const listener of listeners) manager.onEvent(listener);
      this.#apply((await manager.call('settings.get', {})) as CallOutput<'settings.get'>);
      this.#manager.resolve(manager);
    } catch (error) {
      this.#manager.reject(error);
      dialog.showErrorBox('Godwit cannot start', error instanceof Error ? error.message : String(error));
      app.exit(1);
    }
  }

  #notifier(): (event: EventEnvelope) => void {
    return notifier({
      icon: icon(128),
      wanted: () => this.#settings.notifications && !this.#window.isFocused,
      open: (route) => this.#open(route),
    });
  }

  #take(event: EventEnvelope): void {
    this.#tray.take(event);
    if (event.name === 'settings.changed') this.#apply(event.data);
    const ended = event.name === 'run.changed' ? event.data.outcome !== 'active' : event.name.startsWith('machine.');
    if (ended) void this.#quit.somethingEnded();
  }

  #apply(settings: Settings): void {
    this.#settings = settings;
    this.#tray.show(settings.tray);
  }

  #open(route?: string): void {
    this.#quit.reopened();
    this.#window.open(route);
  }

  /** A page is there: it asks for the lists itself; what was only told before is told again. */
  async #tellMissed(): Promise<void> {
    const manager = await this.#manager.promise.catch(() => undefined);
    if (manager === undefined) return;
    for (const event of lastNotices(manager, 0)) this.#window.feed.push(event);
  }

  #pageDied(reason: string, again: boolean): void {
    if (again) return;
    const detail = `The process of its page ended again and again (${reason}). Migrations and machines go on; start Godwit once more to see them.`;
    dialog.showErrorBox('Godwit cannot show its window', detail);
  }

  #setMenu(): void {
    app.setAboutPanelOptions({
      applicationName: 'Godwit',
      applicationVersion: app.getVersion(),
      copyright: 'Apache-2.0',
      iconPath: icon(128),
    });
    const template = applicationMenu({
      show: (route) => this.#open(route),
      about: () => app.showAboutPanel(),
      quit: () => app.quit(),
      developer: !app.isPackaged,
    });
    Menu.setApplicationMenu(Menu.buildFromTemplate(template));
  }
}
