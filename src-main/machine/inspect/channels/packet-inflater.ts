// SPDX-License-Identifier: Apache-2.0
/**
 * Decompresses the packets of one multifd channel: with zlib and zstd, one stream for the whole migration, flushed at the
 * end of each packet (migration-stream.md 7.4).
 */
import { setImmediate as turn } from 'node:timers/promises';
import { createInflate, createZstdDecompress } from 'node:zlib';
import { messageOf } from '../../engine/errors.ts';
import { PacketError } from './multifd-packet.ts';

export class PacketInflater {
  readonly method: 'zlib' | 'zstd';
  readonly #stream;
  #expected = 0;
  #received: Buffer[] = [];
  #bytes = 0;
  #failure: Error | undefined;

  constructor(method: 'zlib' | 'zstd') {
    this.method = method;
    this.#stream = method === 'zlib' ? createInflate() : createZstdDecompress();
    this.#stream.on('data', (bytes: Buffer) => this.#take(bytes));
    this.#stream.on('error', (error: Error) => (this.#failure ??= error));
  }

  /** The `bytes` that one packet's data becomes: neither fewer nor more. */
  async inflate(data: Uint8Array, bytes: number): Promise<Buffer> {
    this.#expected = bytes;
    this.#received = [];
    this.#bytes = 0;
    await new Promise<void>((resolve) => {
      this.#stream.write(data, () => resolve());
    });
    // What is left in the stream's own buffer is handed on before the next turn of the loop.
    await turn();
    if (this.#failure !== undefined) throw new PacketError(`cannot be decompressed: ${messageOf(this.#failure)}`);
    if (this.#bytes !== bytes) throw new PacketError(`becomes ${this.#bytes} bytes, where ${bytes} had to come`);
    return Buffer.concat(this.#received);
  }

  close(): void {
    this.#stream.destroy();
  }

  /** A bomb is ended as soon as it is more than was announced. */
  #take(bytes: Buffer): void {
    this.#bytes += bytes.length;
    if (this.#bytes <= this.#expected) this.#received.push(bytes);
    else this.#stream.destroy(new Error('it becomes more than its pages'));
  }
}
