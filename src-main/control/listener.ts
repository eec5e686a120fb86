// SPDX-License-Identifier: Apache-2.0
/** How a QMP server is reached: a unix socket that only its owner may open. */
import { existsSync, lstatSync, statSync, unlinkSync } from 'node:fs';
import * as net from 'node:net';
import { dirname } from 'node:path';

/** One accepted client. Handlers are set right after the acceptance; nothing is read before `start`. */
export interface Connection {
  start(handlers: ConnectionHandlers): void;
  /** Never blocks; what the client does not take is queued. */
  write(text: string): void;
  /** Bytes that the client has not taken yet. */
  readonly queuedBytes: number;
  setReading(reading: boolean): void;
  /** Delivers what is queued, then closes; `closed` tells when. */
  end(): void;
  /** Closes at once and drops what is queued. */
  destroy(): void;
}

export interface ConnectionHandlers {
  /** `descriptors` came along, where the listener takes any: the handler's to close. */
  readonly data: (bytes: Uint8Array, descriptors: readonly number[]) => void;
  /** The client sends no more; it may still read. */
  readonly ended: () => void;
  /** All that was queued has been taken. */
  readonly drained: () => void;
  readonly closed: () => void;
}

/** Accepts clients at a path until it is closed. */
export interface Listener {
  listen(path: string, accept: (connection: Connection) => void): Promise<void>;
  /** Accepts no more and removes the socket. Accepted connections stay. */
  close(): Promise<void>;
}

/** The socket could not be opened; the message names the path and the remedy. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** A path of a unix socket: sun_path holds 108 bytes with its final zero. */
const MAX_PATH_BYTES = 107;
const OWNER_ONLY = 0o600;
/** Set while the socket is made, so that it never has a wider mode than {@link OWNER_ONLY}. */
const OWNER_ONLY_UMASK = 0o177;

/** Listens by node:net. */
export class NodeListener implements Listener {
  #server: net.Server | undefined;

  async listen(path: string, accept: (connection: Connection) => void): Promise<void> {
    await preparePath(path);
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
      accept(new NodeConnection(socket));
    });
    await bindOwnerOnly(server, path);
    // An accept that fails for want of descriptors costs that client, not the machine.
    server.on('error', () => undefined);
    this.#server = server;
  }

  close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    // Stops listening and removes the path before it returns. What it would go on to wait for is the accepted
    // connections, which are not this listener's.
    server?.close();
    return Promise.resolve();
  }
}

/** Checks that a socket can be made at the path, and removes one that is left there from a dead process. */
export async function preparePath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new ListenError(
      'ENAMETOOLONG',
      `The socket path ${path} is longer than ${MAX_PATH_BYTES} bytes: use a shorter one`,
    );
  }
  if (!existsSync(dirname(path))) {
    throw new ListenError('ENOENT', `Cannot listen on ${path}: its directory does not exist`);
  }
  await removeStaleSocket(path);
}

async function bindOwnerOnly(server: net.Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error: NodeJS.ErrnoException) => {
    reject(cannotListen(path, error));
  });
  server.once('listening', resolve);
  // listen() binds before it returns, so no other code runs under this mask.
  const mask = process.umask(OWNER_ONLY_UMASK);
  try {
    server.listen(path);
  } finally {
    process.umask(mask);
  }
  await promise;
  const mode = statSync(path).mode & 0o777;
  if (mode !== OWNER_ONLY) {
    server.close();
    throw new ListenError(
      'EPERM',
      `The socket ${path} has mode ${mode.toString(8)} instead of 600: use another directory`,
    );
  }
}

/** Why the kernel refused the path. */
export function cannotListen(path: string, error: NodeJS.ErrnoException): ListenError {
  return new ListenError(error.code ?? 'EIO', `Cannot listen on ${path}: ${reasonOf(error)}`);
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EACCES') return 'its directory is not writable';
  if (code === 'EADDRINUSE') return 'another process took the path at this moment';
  return message;
}

/** A socket that nobody listens on is left from a process that is gone. A live one, or another kind of file, is refused. */
async function removeStaleSocket(path: string): Promise<void> {
  const before = lstatSync(path, { throwIfNoEntry: false });
  if (before === undefined) return;
  if (!before.isSocket()) {
    throw new ListenError('EEXIST', `${path} exists and is not a socket: remove it or use another path`);
  }
  if (await isLive(path)) {
    throw new ListenError('EADDRINUSE', `Another process is listening on ${path}: stop it or use another path`);
  }
  // Another process may have replaced it meanwhile; its socket is not ours to remove.
  if (lstatSync(path, { throwIfNoEntry: false })?.ino === before.ino) unlinkSync(path);
}

async function isLive(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = net.connect(path);
  probe.once('connect', () => resolve(true));
  // A full backlog (EAGAIN) or a lack of permission is a sign of life as well.
  probe.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'));
  try {
    return await promise;
  } finally {
    probe.destroy();
  }
}

class NodeConnection implements Connection {
  readonly #socket: net.Socket;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    // A reset is a way to leave; `closed` follows.
    socket.on('error', () => undefined);
  }

  start(handlers: ConnectionHandlers): void {
    const socket = this.#socket;
    if (socket.destroyed) {
      handlers.closed();
      return;
    }
    socket.on('data', (bytes) => handlers.data(bytes, []));
    socket.on('end', handlers.ended);
    socket.on('drain', handlers.drained);
    socket.on('close', handlers.closed);
    socket.resume();
  }

  write(text: string): void {
    if (this.#socket.writable) this.#socket.write(text, 'latin1');
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  setReading(reading: boolean): void {
    if (reading) this.#socket.resume();
    else this.#socket.pause();
  }

  end(): void {
    this.#socket.end(() => this.#socket.destroy());
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
