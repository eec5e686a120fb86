// SPDX-License-Identifier: Apache-2.0
/** A destination that is none: for what a source does when nobody answers, or when the link ends. */
import { createServer, type Server, type Socket } from 'node:net';
import type { FakePeer } from './scenario.ts';

export async function listenAsFakePeer(kind: FakePeer, path: string): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    if (kind === 'closing') socket.destroy();
    else socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
