// SPDX-License-Identifier: Apache-2.0
import { native, type Cancellable, type Channel, type SocketTarget } from '../../native/index.ts';
import { messageOf, MigrationError } from '../errors.ts';

/** Awaits a native operation; an aborted signal cancels it and rejects with the signal's reason. */
export async function withSignal<T>(operation: Cancellable<T>, signal: AbortSignal): Promise<T> {
  const cancel = (): void => {
    operation.cancel();
  };
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    return await operation.promise;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** Connects the main channel of an outgoing migration. Fails with the connect error's own sentence. */
export async function connectChannel(target: SocketTarget, signal: AbortSignal): Promise<Channel> {
  try {
    return await withSignal(native.connect(target), signal);
  } catch (error) {
    if (error instanceof MigrationError) throw error;
    throw new MigrationError('link', messageOf(error), { cause: error });
  }
}
