// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Whereabouts } from '../../../src-shared/run.ts';
import { handOver, type HandOver } from '../hand-over.ts';
import type { LiveMachine } from '../machines/live-machine.ts';
import { guestPauseMs } from './guest-pause.ts';
import type { RunRoute } from './run-route.ts';
import { askDestination, askSource, whereaboutsOf } from './whereabouts.ts';

/** To another machine of this box, over a unix socket in its folder. */
export class MoveRoute implements RunRoute {
  readonly destination: LiveMachine;
  readonly file = undefined;
  readonly arrival = 'destination';
  readonly hasReturnPath = true;
  readonly uri: string;
  readonly #source: LiveMachine;
  readonly #name: string;

  constructor(source: LiveMachine, destination: LiveMachine, name: string) {
    this.#source = source;
    this.destination = destination;
    this.#name = name;
    this.uri = `unix:${join(destination.process.folder, 'migration.sock')}`;
  }

  async begin(): Promise<void> {
    await this.destination.link.execute('migrate-incoming', { uri: this.uri });
    await this.#source.link.execute('migrate', { uri: this.uri });
  }

  async follow(signal: AbortSignal): Promise<HandOver> {
    const ends = { source: this.#source.link, destination: this.destination.link };
    return await handOver(ends, { guestRan: this.#source.runState === 'running', signal });
  }

  async where(): Promise<Whereabouts> {
    const [left, right] = await Promise.all([askSource(this.#source), askDestination(this.destination)]);
    return whereaboutsOf(left, right, this.#name);
  }

  async guestPauseMs(): Promise<number | null> {
    return await guestPauseMs(this.#source, this.destination);
  }

  /** A fresh address for what a paused run goes on over. */
  recoveryUri(): string {
    return `unix:${join(this.destination.process.folder, `recover-${randomUUID().slice(0, 8)}.sock`)}`;
  }
}
