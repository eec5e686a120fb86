// SPDX-License-Identifier: Apache-2.0
import type { Channel } from '../../native/index.ts';
import { codeOf, messageOf, MigrationError } from '../errors.ts';
import * as wire from '../stream/wire.ts';

/** A promise that is settled from outside and whose rejection nobody has to await. */
interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: Error): void;
}

function deferred<T>(): Deferred<T> {
  const parts = Promise.withResolvers<T>();
  parts.promise.catch(() => undefined);
  return parts;
}

/** Payload length that each message must have. */
const fixedLengths: Readonly<Record<number, number>> = {
  [wire.RETURN_PATH_SHUT]: 4,
  [wire.RETURN_PATH_PONG]: 4,
  [wire.RETURN_PATH_RESUME_ACK]: 4,
  [wire.RETURN_PATH_SWITCHOVER_ACK]: 0,
  [wire.RETURN_PATH_GODWIT_LOADED]: 0,
};

/**
 * The source's end of the return path: reads the destination's messages from the main channel, in order, until SHUT or
 * the end of the link. Each verdict is a promise; all of them reject with the same error when the link is lost first.
 */
export class ReturnPathReader {
  readonly #channel: Channel;
  readonly #features = deferred<number>();
  readonly #loaded = deferred<void>();
  readonly #shut = deferred<void>();
  readonly #switchoverAck = deferred<void>();
  readonly #failure = deferred<never>();
  readonly #finished: Promise<void>;
  #featureBits = 0;

  constructor(channel: Channel, greetingCookie: number) {
    this.#channel = channel;
    this.#finished = this.#run(greetingCookie);
  }

  /** The feature bits of a Godwit destination; 0 when a stock peer has answered the greeting. */
  get features(): Promise<number> {
    return this.#features.promise;
  }

  /** Resolves on LOADED: the destination has everything and waits for GO. */
  get loaded(): Promise<void> {
    return this.#loaded.promise;
  }

  /** Resolves on SWITCHOVER_ACK: the destination's devices are ready for the guest to be stopped. */
  get switchoverAck(): Promise<void> {
    return this.#switchoverAck.promise;
  }

  /** Resolves on SHUT 0: the destination has closed the return path without an error. */
  get shut(): Promise<void> {
    return this.#shut.promise;
  }

  /** Rejects when the destination reports a failure or the link is lost before SHUT; never resolves. */
  get failure(): Promise<never> {
    return this.#failure.promise;
  }

  /** Resolves when no message will be read any more; never rejects. */
  get finished(): Promise<void> {
    return this.#finished;
  }

  async #run(greetingCookie: number): Promise<void> {
    try {
      while (await this.#readMessage(greetingCookie));
      this.#shut.resolve();
    } catch (error) {
      const failure =
        error instanceof MigrationError ? error : new MigrationError('link', describeLinkLoss(error), { cause: error });
      for (const promise of [this.#features, this.#loaded, this.#shut, this.#switchoverAck, this.#failure])
        promise.reject(failure);
    }
  }

  /** Handles one message; false after the last one. */
  async #readMessage(greetingCookie: number): Promise<boolean> {
    const head = await this.#channel.read(4);
    const type = head.readUInt16BE(0);
    const length = head.readUInt16BE(2);
    if (length > wire.RETURN_PATH_MAX_LENGTH) {
      throw new MigrationError(
        'stream',
        `Received a return path message of ${length} bytes, the limit is ${wire.RETURN_PATH_MAX_LENGTH}`,
      );
    }
    const expected = fixedLengths[type];
    if (expected === undefined)
      throw new MigrationError('stream', `Received an invalid return path message 0x${type.toString(16)}`);
    if (length !== expected) {
      throw new MigrationError(
        'stream',
        `Received return path message 0x${type.toString(16)} with length ${length}, expected ${expected}`,
      );
    }
    const value = length === 4 ? (await this.#channel.read(4)).readUInt32BE(0) : 0;
    switch (type) {
      case wire.RETURN_PATH_SHUT:
        if (value !== 0) throw new MigrationError('peer', `Sibling indicated error ${value | 0}`);
        return false;
      case wire.RETURN_PATH_PONG:
        if ((value & ~wire.GODWIT_FEATURES_MASK) >>> 0 === wire.GODWIT_FEATURES_TAG) {
          this.#featureBits = value & wire.GODWIT_FEATURES_MASK;
        } else if (value === greetingCookie) {
          this.#features.resolve(this.#featureBits);
        }
        return true;
      case wire.RETURN_PATH_SWITCHOVER_ACK:
        this.#switchoverAck.resolve();
        return true;
      case wire.RETURN_PATH_GODWIT_LOADED:
        this.#loaded.resolve();
        return true;
      default:
        throw new MigrationError(
          'stream',
          `The destination sent return path message 0x${type.toString(16)}, which nothing asked for`,
        );
    }
  }
}

function describeLinkLoss(error: unknown): string {
  return codeOf(error) === 'EOF'
    ? 'The destination closed the connection before it had confirmed the migration'
    : `The connection to the destination was lost: ${messageOf(error)}`;
}
