// SPDX-License-Identifier: Apache-2.0
/** Attached machines as utility processes of Electron: named in its task lists, and ended by it when it ends. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { utilityProcess, type UtilityProcess } from 'electron';
import type { ProcessExit, StartAttached } from '../../manager/machines/attached-process.ts';

/** Its output is read to the end; a pipe that somebody else holds open must not keep its end a secret. */
const OUTPUT_WITHIN_MS = 1000;

export const startUtilityProcess: StartAttached = (entry, args, folder) => {
  const watch = watchSocket(join(folder, 'parent.sock'));
  const child = utilityProcess.fork(entry, [...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    serviceName: 'Godwit machine',
    env: { ...process.env, GODWIT_PARENT_SOCKET: watch.path },
  });
  const exited = untilExited(child).finally(() => watch.close());
  return {
    get pid() {
      return child.pid;
    },
    stdout: child.stdout as Readable | null,
    stderr: child.stderr as Readable | null,
    exited,
    kill: (signal) => kill(child, signal),
  };
};

/**
 * The machine holds a connection to this socket and ends when that ends. Electron takes its utility processes with it,
 * but a guest that is left running unseen would be one too many: it is not left to one mechanism.
 */
function watchSocket(path: string): { readonly path: string; close(): void } {
  const connections = new Set<{ destroy(): void }>();
  const server = createServer((connection) => {
    connections.add(connection);
    connection.on('error', () => undefined).on('close', () => connections.delete(connection));
    connection.unref();
  });
  server.on('error', () => undefined); // the machine cannot connect then, and ends: `exited` tells
  server.listen(path).unref();
  return {
    path,
    close: () => {
      for (const connection of connections) connection.destroy();
      server.close();
    },
  };
}

async function untilExited(child: UtilityProcess): Promise<ProcessExit> {
  const outputs = [child.stdout, child.stderr].map((stream) => untilEnded(stream));
  const code = await new Promise<number>((resolve) => child.once('exit', resolve));
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(late.resolve, OUTPUT_WITHIN_MS, undefined);
  await Promise.race([Promise.all(outputs), late.promise]);
  clearTimeout(timer);
  return { code, signal: null };
}

async function untilEnded(stream: UtilityProcess['stdout']): Promise<void> {
  if (stream === null) return;
  await new Promise<void>((resolve) => stream.once('end', resolve).once('close', resolve));
}

function kill(child: UtilityProcess, signal: NodeJS.Signals): boolean {
  const { pid } = child;
  if (pid === undefined) return child.kill();
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
