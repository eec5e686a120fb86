// SPDX-License-Identifier: Apache-2.0
/** How a machine's monitors are reached: unix sockets whose clients may pass descriptors (`getfd`). */
import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { cannotListen, preparePath } from '../../control/listener.ts';
import type { Connection, ConnectionHandlers, Listener } from '../../control/listener.ts';
import { codeOf } from '../engine/errors.ts';
import { native, type Channel, type Listener as NativeListener } from '../native/index.ts';

/** A failure that stays must not keep the machine busy. */
const AFTER_FAILURE_MS = 100;

export class MonitorListener implements Listener {
  #listener: NativeListener | undefined;

  async listen(path: string, accept: (connection: Connection) => void): Promise<void> {
    await preparePath(path);
    const listener = openListener(path);
    this.#listener = listener;
    void acceptAll(listener, accept);
  }

  close(): Promise<void> {
    this.#listener?.close();
    this.#listener = undefined;
    return Promise.resolve();
  }
}

function openListener(path: string): NativeListener {
  try {
    return new native.Listener({ type: 'unix', path });
  } catch (error) {
    throw error instanceof Error ? cannotListen(path, error) : error;
  }
}

/** Until the listener is closed. */
async function acceptAll(listener: NativeListener, accept: (connection: Connection) => void): Promise<void> {
  for (;;) {
    const channel = await nextChannel(listener);
    if (channel === 'closed') return;
    if (channel === undefined) await sleep(AFTER_FAILURE_MS);
    else accept(new MonitorConnection(channel));
  }
}

/** Undefined where one connection cannot be had: that client's loss. A lack of descriptors is waited out below. */
async function nextChannel(listener: NativeListener): Promise<Channel | 'closed' | undefined> {
  try {
    return await listener.accept({ descriptors: true }).promise;
  } catch (error) {
    return codeOf(error) === 'ECANCELED' ? 'closed' : undefined;
  }
}

class MonitorConnection implements Connection {
  readonly #channel: Channel;
  #handlers: ConnectionHandlers | undefined;
  #reading = true;
  #receiving = false;
  #flushing = false;
  #inputEnded = false;
  #closed = false;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  start(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    if (this.#closed) handlers.closed();
    else void this.#receive();
  }

  write(text: string): void {
    if (this.#closed) return;
    this.#channel.enqueue(Buffer.from(text, 'latin1'));
    void this.#flush();
  }

  get queuedBytes(): number {
    return this.#closed ? 0 : this.#channel.bytesQueued;
  }

  setReading(reading: boolean): void {
    this.#reading = reading;
    void this.#receive();
  }

  end(): void {
    void this.#channel.flush().then(
      () => this.destroy(),
      () => this.destroy(),
    );
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#channel.close();
    // Whoever destroys it may be in the middle of serving it.
    queueMicrotask(() => this.#handlers?.closed());
  }

  async #receive(): Promise<void> {
    if (this.#receiving || this.#handlers === undefined) return;
    this.#receiving = true;
    try {
      while (this.#wantsInput) await this.#receiveOnce(this.#handlers);
    } catch {
      this.destroy(); // a reset is a way to leave
    } finally {
      this.#receiving = false;
    }
  }

  get #wantsInput(): boolean {
    return this.#reading && !this.#closed && !this.#inputEnded;
  }

  async #receiveOnce({ data, ended }: ConnectionHandlers): Promise<void> {
    const { bytes, descriptors } = await this.#channel.receive();
    if (this.#closed) {
      descriptors.forEach((descriptor) => closeSync(descriptor));
    } else if (bytes.length === 0) {
      this.#inputEnded = true;
      ended();
    } else {
      data(bytes, descriptors);
    }
  }

  /** Tells when all is taken; a client that has gone is noticed here, too. */
  async #flush(): Promise<void> {
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      while (this.queuedBytes > 0) await this.#channel.flush();
      this.#handlers?.drained();
    } catch {
      this.destroy();
    } finally {
      this.#flushing = false;
    }
  }
}
