// SPDX-License-Identifier: Apache-2.0
/** A place in the tray with the runs under way. A bonus: some desktops hide it, so nothing is reachable only from here. */
import { Menu, Tray } from 'electron';
import type { EventEnvelope } from '../../../src-shared/contract.ts';
import type { RunView } from '../../../src-shared/run.ts';
import { trayMenu, type TrayActions } from './tray-menu.ts';

export interface TrayOptions extends TrayActions {
  readonly icon: string;
}

export class TrayIcon {
  readonly #options: TrayOptions;
  readonly #runs = new Map<string, RunView>();
  #tray: Tray | undefined;
  #shown = '';

  constructor(options: TrayOptions) {
    this.#options = options;
  }

  get isShown(): boolean {
    return this.#tray !== undefined;
  }

  show(wanted: boolean): void {
    if (!wanted) {
      this.#tray?.destroy();
      this.#tray = undefined;
      this.#shown = '';
    } else if (this.#tray === undefined) {
      this.#tray = new Tray(this.#options.icon);
      this.#tray.on('click', () => this.#options.open());
      this.#update();
    }
  }

  take(event: EventEnvelope): void {
    if (event.name !== 'run.changed') return;
    if (event.data.outcome === 'active') this.#runs.set(event.data.id, event.data);
    else this.#runs.delete(event.data.id);
    this.#update();
  }

  /** A run changes ten times a second, its sentence a few times in all: the menu is only made when it says another. */
  #update(): void {
    const tray = this.#tray;
    if (tray === undefined) return;
    const template = trayMenu([...this.#runs.values()], this.#options);
    const shown = template.map(({ label }) => label ?? '').join('\n');
    if (shown === this.#shown) return;
    this.#shown = shown;
    tray.setToolTip(this.#runs.size === 0 ? 'Godwit' : `Godwit: ${migrations(this.#runs.size)} under way`);
    tray.setContextMenu(Menu.buildFromTemplate(template));
  }
}

const migrations = (count: number): string => (count === 1 ? '1 migration' : `${String(count)} migrations`);
