// SPDX-License-Identifier: Apache-2.0
/** One machine as the manager drives it: typed questions over QMP. The machine may be Godwit's or a stock QEMU. */
import { QmpClient } from '../../control/client.ts';
import { deadlines } from '../deadlines.ts';
import { heartbeatsReply, migrateReply, parametersReply, statusReply } from './replies.ts';
import type { Heartbeats, MigrateReply } from './replies.ts';

/** An event of either end. */
export interface MachineEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** When it arrived here: performance.now(), milliseconds. */
  readonly at: number;
}

export class MachineLink {
  readonly #client: QmpClient;

  private constructor(client: QmpClient) {
    this.#client = client;
  }

  /** Connects to the QMP socket at `path` and negotiates; `timeoutMs` for a machine that greets only when its RAM is there. */
  static async connect(path: string, signal: AbortSignal, timeoutMs: number = deadlines.command): Promise<MachineLink> {
    return new MachineLink(await QmpClient.connect(path, { signal, timeoutMs, waitForSocketMs: timeoutMs }));
  }

  /** Calls `listener` with every event from now on; answers the function that ends it. */
  onEvent(listener: (event: MachineEvent) => void): () => void {
    return this.#client.on('event', (event) => {
      listener({ name: event.event, data: event.data ?? {}, at: performance.now() });
    });
  }

  async execute(name: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.#client.execute(name, args, { timeoutMs: deadlines.command });
  }

  async setCapabilities(names: readonly string[]): Promise<void> {
    const capabilities = names.map((capability) => ({ capability, state: true }));
    await this.execute('migrate-set-capabilities', { capabilities });
  }

  /** `query-migrate`: the checked part, and the whole reply for the record. */
  async migration(): Promise<{ readonly info: MigrateReply; readonly raw: Record<string, unknown> }> {
    const raw = await this.execute('query-migrate');
    return { info: migrateReply.parse(raw), raw: raw as Record<string, unknown> };
  }

  /** Run state: `running`, `paused`, `inmigrate`, `postmigrate`, … */
  async runState(): Promise<string> {
    return statusReply.parse(await this.execute('query-status')).status;
  }

  async downtimeLimitMs(): Promise<number> {
    return parametersReply.parse(await this.execute('query-migrate-parameters'))['downtime-limit'];
  }

  /** Only a Godwit machine has heartbeats. */
  async heartbeats(): Promise<Heartbeats> {
    return heartbeatsReply.parse(await this.execute('x-godwit-heartbeats'));
  }

  /** Resolves when the connection is gone, for whatever reason. */
  get closed(): Promise<void> {
    return this.#client.closed;
  }

  close(): void {
    void this.#client.close();
  }
}
