// SPDX-License-Identifier: Apache-2.0
/**
 * How the app ends. Closing the window or quitting while something runs that would end is asked back; the answer may be
 * to go on without a window. A signal (a session that ends, `kill`) is not: nobody may be there to answer.
 */
import { app, dialog, type BrowserWindow } from 'electron';
import type { CallOutput } from '../../../src-shared/contract.ts';
import type { Manager } from '../../manager/manager.ts';
import { endingSentence } from '../ending.ts';
import { decide, type QuitEvent, type QuitState } from './quit-states.ts';

export interface QuitOptions {
  readonly manager: Promise<Manager>;
  readonly window: () => BrowserWindow | undefined;
  readonly hideWindow: () => void;
  /** A tray icon keeps the app without a window, and there is a way back. */
  readonly hasTray: () => boolean;
}

const STAY = 0;
const GO_ON = 1;

export class Quit {
  readonly #options: QuitOptions;
  #state: QuitState = 'running';

  constructor(options: QuitOptions) {
    this.#options = options;
    app.on('before-quit', (event) => {
      if (!this.#happens('quit')) event.preventDefault();
    });
    app.on('window-all-closed', () => undefined); // what happens then is decided here
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => void this.#happens('signal'));
    }
  }

  /** Whether the window may close now. */
  mayClose(): boolean {
    if (this.#state === 'running' && this.#options.hasTray()) {
      this.#options.hideWindow();
      return false;
    }
    return this.#happens('close');
  }

  /** The window is shown again. */
  reopened(): void {
    this.#happens('reopen');
  }

  /** Something ended: without a window, an app that has nothing left to do goes. */
  async somethingEnded(): Promise<void> {
    if (this.#state !== 'background' || this.#options.hasTray()) return;
    if ((await this.#whatEnds()) === undefined) this.#happens('idle');
  }

  /** Answers whether what Electron is about to do may go on. */
  #happens(event: QuitEvent): boolean {
    const { next, effect, proceed } = decide(this.#state, event);
    this.#state = next;
    switch (effect) {
      case 'ask':
        // A question that cannot be put is not an answer; asked for again, it is put again.
        void this.#ask().catch(() => this.#happens('stay'));
        break;
      case 'end':
        void this.#end();
        break;
      case 'hide':
        this.#options.hideWindow();
        break;
      case null:
        break;
    }
    return proceed;
  }

  async #ask(): Promise<void> {
    const sentence = await this.#whatEnds();
    // Meanwhile a signal may have decided it.
    if (this.#state !== 'asking') return;
    if (sentence === undefined) {
      this.#happens('confirmed');
      return;
    }
    const options = {
      type: 'question' as const,
      message: 'Quit Godwit?',
      detail: sentence,
      buttons: ['Stay', 'Go on without a window', 'Quit'],
      defaultId: STAY,
      cancelId: STAY,
      noLink: true,
    };
    const window = this.#options.window();
    const { response } = await (window === undefined
      ? dialog.showMessageBox(options)
      : dialog.showMessageBox(window, options));
    this.#happens(response === STAY ? 'stay' : response === GO_ON ? 'go-on' : 'confirmed');
  }

  /** Undefined where nothing that runs would end; also where nobody can say it, since an end must stay possible. */
  async #whatEnds(): Promise<string | undefined> {
    try {
      const manager = await this.#options.manager;
      const { machines } = (await manager.call('machines.list', {})) as CallOutput<'machines.list'>;
      const { runs } = (await manager.call('runs.active', {})) as CallOutput<'runs.active'>;
      return endingSentence(machines, runs);
    } catch {
      return undefined;
    }
  }

  async #end(): Promise<void> {
    this.#options.hideWindow();
    await this.#options.manager.then((manager) => manager.close()).catch(() => undefined);
    this.#happens('ended');
    app.quit();
  }
}
