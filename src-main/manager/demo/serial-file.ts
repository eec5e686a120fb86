// SPDX-License-Identifier: Apache-2.0
import { open } from 'node:fs/promises';

const PIECE_BYTES = 64 * 1024;

/** Reads a growing file from where the last call ended. A file that is not there yet reads as empty. */
export class SerialFile {
  readonly #path: string;
  #position = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Hands every piece that is new to `take`. Bytes that are not ASCII arrive as Latin-1 characters. */
  async readOn(take: (text: string) => void): Promise<void> {
    const file = await open(this.#path, 'r').catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (!file) return;
    try {
      const buffer = Buffer.alloc(PIECE_BYTES);
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, PIECE_BYTES, this.#position);
        if (bytesRead === 0) return;
        this.#position += bytesRead;
        take(buffer.toString('latin1', 0, bytesRead));
      }
    } finally {
      await file.close();
    }
  }
}
