// SPDX-License-Identifier: Apache-2.0
/** A destination without a process of its own: a real machine, a real listener and the real engine. */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { IncomingMigration, type IncomingOptions } from '../../../src-main/machine/engine/incoming.ts';
import type { MigrationError } from '../../../src-main/machine/engine/errors.ts';
import { openIncoming, type IncomingChannels } from '../../../src-main/machine/engine/channels/open.ts';
import type { SocketTarget } from '../../../src-main/machine/native/index.ts';
import { createMachine } from '../../../src-main/machine/vm/create-machine.ts';
import type { Machine } from '../../../src-main/machine/vm/machine.ts';

export interface DestinationOptions extends Pick<IncomingOptions, 'deadlines'> {
  readonly machine: 'none' | 'microvm';
  readonly memoryBytes: number;
  /** For its socket. */
  readonly folder: string;
  /** Listens on the loopback instead of a unix socket. */
  readonly tcp?: boolean;
}

export class Destination {
  readonly machine: Machine;
  readonly migration: IncomingMigration;
  /** What it reported as its failure. */
  failure: MigrationError | undefined;

  /** Where it listens. */
  readonly address: SocketTarget;

  private constructor(machine: Machine, channels: IncomingChannels, options: DestinationOptions) {
    if (channels.address === undefined) throw new Error('a destination of tests listens on a socket');
    this.machine = machine;
    this.address = channels.address;
    this.migration = new IncomingMigration({
      machine,
      channels,
      ...(options.deadlines && { deadlines: options.deadlines }),
      ignoreShared: false,
      switchoverAck: false,
      onStatus: () => undefined,
      onFailed: (error) => {
        this.failure = error;
      },
    });
  }

  /** Listens; the guest that arrives will not run by itself. */
  static async start(options: DestinationOptions): Promise<Destination> {
    const { machine: kind, memoryBytes } = options;
    const machine = await createMachine({
      machine: kind,
      memoryBytes,
      cpus: 1,
      cpu: 'x86-64-v2',
      guest: undefined,
      load: [],
      incoming: {},
      paused: true,
      hugePageBytes: undefined,
      dirtyRingSize: undefined,
      onEvent: () => undefined,
      onCrash: () => undefined,
    });
    try {
      const target: SocketTarget = options.tcp
        ? { type: 'tcp', host: '127.0.0.1', port: 0 }
        : { type: 'unix', path: join(options.folder, `${process.pid}.sock`) };
      return new Destination(machine, await openIncoming(target), options);
    } catch (error) {
      await machine.close();
      throw error;
    }
  }

  /** Connects a peer. What the destination answers is read and dropped, unless `deaf`. */
  async peer(deaf = false): Promise<Socket> {
    const { address } = this;
    if (address.type === 'vsock') throw new Error('a destination of these tests listens at a tcp or unix address');
    const socket = address.type === 'unix' ? connect(address.path) : connect(address.port, address.host);
    socket.on('error', () => undefined); // a destination that refuses a stream closes in the middle of it
    await new Promise((resolve) => socket.once('connect', resolve));
    if (!deaf) socket.resume();
    return socket;
  }

  async close(): Promise<void> {
    await this.migration.close();
    await this.machine.close();
  }
}
