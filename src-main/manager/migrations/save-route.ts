// SPDX-License-Identifier: Apache-2.0
import type { Whereabouts } from '../../../src-shared/run.ts';
import type { LiveMachine } from '../machines/live-machine.ts';
import { fileChannels } from '../machines/saved-guest.ts';
import type { RunRoute } from './run-route.ts';
import { untilSaved, type Saved } from './until-saved.ts';
import { askSource, savedWhereaboutsOf } from './whereabouts.ts';

/** Into a file. Nobody answers from there. */
export class SaveRoute implements RunRoute {
  readonly destination = undefined;
  readonly file: string;
  readonly arrival = 'file';
  readonly hasReturnPath = false;
  readonly #source: LiveMachine;
  readonly #name: string;

  constructor(source: LiveMachine, file: string, name: string) {
    this.#source = source;
    this.file = file;
    this.#name = name;
  }

  get uri(): string {
    return `file:${this.file}`;
  }

  async begin(): Promise<void> {
    await this.#source.link.execute('migrate', { channels: fileChannels(this.file) });
  }

  async follow(signal: AbortSignal): Promise<Saved> {
    return await untilSaved(this.#source.link, signal);
  }

  async where(completed: boolean): Promise<Whereabouts> {
    return savedWhereaboutsOf(await askSource(this.#source), completed, this.file, this.#name);
  }

  guestPauseMs(): Promise<null> {
    return Promise.resolve(null);
  }
}
