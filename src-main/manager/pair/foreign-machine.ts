// SPDX-License-Identifier: Apache-2.0
/** A machine that somebody else has started, Godwit's or QEMU's, known by its QMP socket alone. */
import { connect } from 'node:net';
import { z } from 'zod';
import { plainText } from '../../../src-shared/plain-text.ts';
import { MachineLink } from '../machines/link.ts';
import type { AskableMachine } from '../migrations/whereabouts.ts';
import { PairError } from './types.ts';

const CONNECT_WITHIN_MS = 5000;

const versionReply = z.object({
  qemu: z.object({ major: z.int(), minor: z.int(), micro: z.int() }),
  package: z.string(),
});
const nameReply = z.object({ name: z.string().optional() });
const memoryReply = z.object({ 'base-memory': z.number() });
const commandsReply = z.array(z.object({ name: z.string() }));

export interface MachineIdentity {
  readonly kind: 'godwit' | 'qemu';
  /** As in `7.2`. */
  readonly release: string;
  readonly name: string | undefined;
  readonly memoryBytes: number | undefined;
}

export class ForeignMachine implements AskableMachine {
  readonly link: MachineLink;
  readonly path: string;
  readonly identity: MachineIdentity;
  readonly process: AskableMachine['process'];
  /** Nobody looks at it between two questions. */
  readonly contactAgeMs = null;

  private constructor(link: MachineLink, path: string, identity: MachineIdentity) {
    this.link = link;
    this.path = path;
    this.identity = identity;
    this.process = { pid: null, exited: gone(link, path) };
  }

  /** Rejects with a sentence that names the end and its socket. */
  static async connect(end: 'source' | 'destination', path: string, signal: AbortSignal): Promise<ForeignMachine> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_WITHIN_MS)]);
    let link: MachineLink;
    try {
      link = await MachineLink.connect(path, limit, CONNECT_WITHIN_MS);
    } catch (error) {
      signal.throwIfAborted();
      const reason = limit.aborted ? 'it does not answer, or serves another client' : messageOf(error);
      throw new PairError('BLOCKED', `The ${end} at ${path} cannot be reached: ${reason}`, { cause: error });
    }
    try {
      return new ForeignMachine(link, path, await identify(link));
    } catch (error) {
      link.close();
      throw new PairError('BLOCKED', `The ${end} at ${path} is no machine that can be driven: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** What to call it. */
  get label(): string {
    return this.identity.name ?? this.path;
  }

  close(): void {
    this.link.close();
  }
}

async function identify(link: MachineLink): Promise<MachineIdentity> {
  const { qemu } = versionReply.parse(await link.execute('query-version'));
  const commands = commandsReply.parse(await link.execute('query-commands'));
  // Recognised by its commands, never by a version.
  const kind = commands.some(({ name }) => name.startsWith('x-godwit-')) ? 'godwit' : 'qemu';
  const { name } = nameReply.parse(await link.execute('query-name'));
  const memory = await link.execute('query-memory-size-summary').then(
    (reply) => memoryReply.parse(reply)['base-memory'],
    () => undefined,
  );
  return {
    kind,
    release: `${qemu.major}.${qemu.minor}`,
    name: name === undefined ? undefined : plainText(name, 60),
    memoryBytes: memory,
  };
}

/** Resolves when the process has certainly ended: its connection is gone, and nobody listens at its socket any more. */
async function gone(link: MachineLink, path: string): Promise<void> {
  await link.closed;
  if (await refuses(path)) return;
  await new Promise<never>(() => undefined); // it lives, as far as one can know
}

function refuses(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED' || code === 'ENOENT'));
  });
}

const messageOf = (error: unknown): string => plainText(error instanceof Error ? error.message : String(error));
