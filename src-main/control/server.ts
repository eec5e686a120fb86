// SPDX-License-Identifier: Apache-2.0
/** A QMP monitor on a unix socket: one client at a time, as QEMU's. */
import type { CommandTable } from './command.ts';
import { NodeListener, type Connection, type Listener } from './listener.ts';
import { REFERENCE_RELEASE, type QmpAnnouncement } from './protocol.ts';
import { QmpSession } from './session.ts';

/** What went wrong with a client or inside a command; the machine itself goes on. */
export class QmpServerError extends Error {
  override readonly name = 'QmpServerError';
  readonly code: 'SLOW_CLIENT' | 'TOO_MANY_CLIENTS' | 'DEFECT';

  constructor(code: QmpServerError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export interface QmpServerOptions {
  /** Of the socket; its directory has to exist and should be the owner's alone. */
  readonly path: string;
  /** `package` names this program, as in `godwit-0.1.0`. */
  readonly version: { readonly package: string };
  readonly commands: CommandTable;
  /** Told of clients that were dropped and of defects in handlers. */
  readonly onError?: (error: QmpServerError) => void;
  readonly listener?: Listener;
}

/** A client that leaves more than this unread is dropped: some 100,000 events, and a machine is not its buffer. */
export const MAX_QUEUED_BYTES = 16 << 20;
/** Beyond this, replies wait for the client before its next requests are read and run. */
const READ_PAUSE_BYTES = 64 << 10;
/** Clients that may wait for their turn; each holds a descriptor. */
export const MAX_WAITING_CLIENTS = 16;
/** Time for a client to take the last replies when the server closes. */
const CLOSE_GRACE_MS = 1000;

interface Client {
  readonly connection: Connection;
  readonly session: QmpSession;
  readonly closed: Promise<void>;
  /** No more replies are awaited: close once what is queued is delivered. */
  ending: boolean;
  wanted: boolean;
  /** Resolves when what is queued has become little, or the client is gone. */
  room: PromiseWithResolvers<void> | undefined;
}

export class QmpServer {
  readonly #options: QmpServerOptions;
  readonly #listener: Listener;
  readonly #waiting: Connection[] = [];
  #client: Client | undefined;
  #closing = false;

  constructor(options: QmpServerOptions) {
    this.#options = options;
    this.#listener = options.listener ?? new NodeListener();
  }

  /** Makes the socket, mode 0600. Replaces one that is left from a dead process; rejects with a ListenError otherwise. */
  async listen(): Promise<void> {
    await this.#listener.listen(this.#options.path, (connection) => this.#accept(connection));
  }

  /** Sends an event to the client, if there is one that has negotiated. */
  emit(event: QmpAnnouncement): void {
    this.#client?.session.emit(event);
  }

  /**
   * Stops listening, removes the socket, lets the current client have its last replies for at most a second. Not to be
   * awaited from within a command's handler, whose own reply is waited for.
   */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#listener.close();
    for (const connection of this.#waiting.splice(0)) connection.destroy();
    const client = this.#client;
    if (client === undefined) return;
    client.connection.setReading(false);
    const deadline = setTimeout(() => client.connection.destroy(), CLOSE_GRACE_MS);
    void client.session.idle().then(() => this.#end(client));
    await client.closed;
    clearTimeout(deadline);
  }

  /** Ends the current client's connection; the next one that waits has its turn. */
  drop(): void {
    this.#client?.connection.destroy();
  }

  #accept(connection: Connection): void {
    if (this.#closing || this.#waiting.length >= MAX_WAITING_CLIENTS) {
      connection.destroy();
      const { path } = this.#options;
      if (!this.#closing)
        this.#report('TOO_MANY_CLIENTS', `Too many clients are waiting for ${path}: one was turned away`);
      return;
    }
    this.#waiting.push(connection);
    this.#serveNext();
  }

  #serveNext(): void {
    if (this.#client !== undefined || this.#closing) return;
    const connection = this.#waiting.shift();
    if (connection !== undefined) this.#serve(connection);
  }

  #serve(connection: Connection): void {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const session = new QmpSession({
      version: { qemu: REFERENCE_RELEASE, package: this.#options.version.package },
      commands: this.#options.commands,
      send: (line) => this.#send(client, line),
      setReading: (reading) => {
        client.wanted = reading;
        this.#steerReading(client);
      },
      room: () => client.room?.promise,
      onDefect: (error, command) => this.#report('DEFECT', `The command ${command} failed: ${String(error)}`, error),
    });
    const client: Client = { connection, session, closed, ending: false, wanted: true, room: undefined };
    this.#client = client;
    connection.start({
      data: (bytes, descriptors) => session.receive(bytes, descriptors),
      ended: () => void session.finish().then(() => this.#end(client)),
      drained: () => this.#steerReading(client),
      closed: () => {
        session.close();
        client.room?.resolve();
        this.#client = undefined;
        resolve();
        this.#serveNext();
      },
    });
    if (this.#client === client) session.open();
  }

  #send(client: Client, line: string): void {
    const { connection } = client;
    if (connection.queuedBytes + line.length > MAX_QUEUED_BYTES) {
      if (client.ending) return;
      client.ending = true;
      const limit = `${MAX_QUEUED_BYTES >> 20} MiB`;
      this.#report(
        'SLOW_CLIENT',
        `The client on ${this.#options.path} left ${limit} of replies unread: it was dropped`,
      );
      client.session.close();
      connection.destroy();
      return;
    }
    connection.write(line);
    this.#steerReading(client);
  }

  #steerReading(client: Client): void {
    const blocked = client.connection.queuedBytes > READ_PAUSE_BYTES;
    if (blocked) {
      client.room ??= Promise.withResolvers<void>();
    } else {
      client.room?.resolve();
      client.room = undefined;
    }
    client.connection.setReading(client.wanted && !blocked && !this.#closing);
  }

  #end(client: Client): void {
    if (client.ending) return;
    client.ending = true;
    client.connection.end();
  }

  #report(code: QmpServerError['code'], message: string, cause?: unknown): void {
    this.#options.onError?.(new QmpServerError(code, message, cause));
  }
}
