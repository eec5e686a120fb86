// SPDX-License-Identifier: Apache-2.0
/** How the main channel is opened at either end, whatever is at its other end. */
import { closeSync } from 'node:fs';
import { native, type Cancellable, type Channel, type Listener, type SocketTarget } from '../../native/index.ts';
import { codeOf, messageOf, MigrationError } from '../errors.ts';
import { openCommand } from './exec.ts';
import { openToLoad, openToSave } from './file.ts';
import type { ChannelTarget, ExecTarget, FdTarget, RangedSocketTarget } from './target.ts';

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

/** A source's way out. */
export interface OutgoingChannel {
  readonly channel: Channel;
  /** Of a one-way channel: resolves when what was written has been taken, and stays. */
  readonly seal?: () => Promise<void>;
  /**
   * Nobody can have the guest before it is sealed: a file. A command may have passed it on to a machine that runs it.
   */
  readonly nobodyThere?: true;
  /** Rejects with why the other end takes no more, where it can say so; may be pending for ever. */
  readonly reason?: Promise<unknown>;
  /** Lets go of it, whatever became of it. */
  readonly close: () => Promise<void>;
}

/** Connects the main channel of an outgoing migration. Fails with a sentence of its own. */
export async function openOutgoing(target: ChannelTarget, signal: AbortSignal): Promise<OutgoingChannel> {
  switch (target.type) {
    case 'file':
      return { ...(await openToSave(target)), nobodyThere: true };
    case 'exec':
      return saveByCommand(target);
    case 'fd':
      return plain(openDescriptor(target));
    case 'tcp':
    case 'unix':
    case 'vsock':
      return plain(await connectSocket(target, signal));
  }
}

/** A channel whose close is all there is to its end. */
function plain(channel: Channel): OutgoingChannel {
  return {
    channel,
    close: () => {
      channel.close();
      return Promise.resolve();
    },
  };
}

function openDescriptor({ descriptor }: FdTarget): Channel {
  try {
    return native.openStream(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function saveByCommand(target: ExecTarget): OutgoingChannel {
  const { channel, ended, kill, leave } = openCommand(target, 'write');
  let given = false;
  return {
    channel,
    reason: ended,
    seal: async () => {
      given = true;
      // The description behind the state may still be on its way. A command that takes no more says why at its end.
      await channel.flush().catch(() => undefined);
      channel.close(); // the end of its input
      await ended;
    },
    close: async () => {
      channel.close();
      // What it has been given may be the guest's only copy.
      if (given) {
        leave();
        return;
      }
      kill();
      await ended.catch(() => undefined);
    },
  };
}

async function connectSocket(target: SocketTarget, signal: AbortSignal): Promise<Channel> {
  try {
    return await withSignal(native.connect(target), signal);
  } catch (error) {
    if (error instanceof MigrationError) throw error;
    throw new MigrationError('link', messageOf(error), { cause: error });
  }
}

/** A destination's way in. */
export interface IncomingChannels {
  /** Where it listens, with the real port; undefined where nobody can connect. */
  readonly address: SocketTarget | undefined;
  readonly accept: (signal: AbortSignal) => Promise<Channel>;
  /** Resolves when what delivers the stream has ended well. Asked at its end, before the guest is taken over. */
  readonly verify?: () => Promise<void>;
  readonly close: () => void;
}

/** Listens, or opens what is there already. Throws the sentence of what cannot be opened. */
export async function openIncoming(target: ChannelTarget): Promise<IncomingChannels> {
  switch (target.type) {
    case 'file': {
      const channel = await openToLoad(target);
      return { address: undefined, accept: () => Promise.resolve(channel), close: () => undefined };
    }
    case 'exec': {
      const { channel, ended, kill } = openCommand(target, 'read');
      return { address: undefined, accept: () => Promise.resolve(channel), verify: () => ended, close: kill };
    }
    case 'fd': {
      const channel = openDescriptor(target);
      return { address: undefined, accept: () => Promise.resolve(channel), close: () => undefined };
    }
    case 'tcp':
    case 'unix':
    case 'vsock': {
      const listener = listenInRange(target);
      return {
        address: listener.address,
        accept: (signal) => withSignal(listener.accept(), signal),
        close: () => listener.close(),
      };
    }
  }
}

/** The first port of the range that is free; without a range the one port. QEMU's sentence where none is. */
function listenInRange(target: RangedSocketTarget): Listener {
  if (target.type !== 'tcp') return new native.Listener(target);
  const { host, port, to = port } = target;
  for (let candidate = port; candidate <= to; candidate += 1) {
    try {
      return new native.Listener({ type: 'tcp', host, port: candidate });
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE') throw error;
    }
  }
  throw new MigrationError('link', 'Failed to find an available port: Address already in use');
}
