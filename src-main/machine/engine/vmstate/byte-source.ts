// SPDX-License-Identifier: Apache-2.0
/**
 * Where a section is read from: a migration channel, or a buffer. Both calls reject with an error whose `code` is `EOF`
 * when fewer than `n` bytes are left.
 */
export interface ByteSource {
  /** The next `n` bytes. */
  read(n: number): Promise<Uint8Array>;
  /** The next `n` bytes, left in place. */
  peek(n: number): Promise<Uint8Array>;
}

/** The end of a buffer, with the code that a channel uses for a peer that closed. */
export class EndOfBufferError extends Error {
  readonly code = 'EOF';

  constructor(wanted: number, left: number) {
    super(`${wanted} bytes wanted, ${left} left`);
    this.name = 'EndOfBufferError';
  }
}

export interface BufferSource extends ByteSource {
  /** Bytes consumed so far. */
  readonly offset: number;
  /** Bytes not yet consumed. */
  readonly left: number;
}

/** Reads from bytes in memory. What is returned are views: the bytes must not change meanwhile. */
export function bufferSource(bytes: Uint8Array): BufferSource {
  let offset = 0;
  const next = async (n: number): Promise<Uint8Array> => {
    if (n > bytes.length - offset) throw new EndOfBufferError(n, bytes.length - offset);
    return bytes.subarray(offset, offset + n);
  };
  return {
    peek: next,
    read: async (n) => {
      const found = await next(n);
      offset += n;
      return found;
    },
    get offset() {
      return offset;
    },
    get left() {
      return bytes.length - offset;
    },
  };
}

export function isEndOfSource(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EOF';
}
