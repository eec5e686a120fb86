// SPDX-License-Identifier: Apache-2.0
/** Without a return path the end of the state is all that decides: before it the guest stays, after it it has gone. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startMachine, until } from '../support/machine.ts';
import { MainStreamParser } from '../support/stream-parser.ts';

const MIB = 1024 ** 2;

/** A destination that closes as soon as it has read an element of that name, whatever comes after it. */
async function closeAfter(element: string, path: string): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    const parser = new MainStreamParser();
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => {
      if (parser.push(data).units.some(({ ends }) => ends === element)) socket.destroy();
    });
  });
  server.listen({ path });
  await once(server, 'listening');
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('a source without a return path', () => {
  it('lets go of its guest once all of the state is out, although the destination closes before the vmdesc', async () => {
    await using source = await startMachine({ machine: 'none', memoryBytes: 4 * MIB });
    const path = join(source.process.folder, 'fake.sock');
    await using _destination = await closeAfter('eof', path);
    for (let round = 0; round < 10; round += 1) {
      await source.execute('migrate', { uri: `unix:${path}` });
      expect(await source.untilStatus('completed', 'failed')).toMatchObject({ status: 'completed' });
      expect(await source.runState()).toBe('postmigrate');
      await source.execute('cont');
    }
  });

  it('keeps its guest when the destination closes before that', async () => {
    await using source = await startMachine({ machine: 'none', memoryBytes: 64 * MIB });
    await source.execute('x-godwit-dirty', { 'pages-per-second': 10_000 });
    const path = join(source.process.folder, 'fake.sock');
    await using _destination = await closeAfter('ram:START', path);
    await source.execute('migrate-set-parameters', { 'max-bandwidth': MIB, 'downtime-limit': 1 });
    await source.execute('migrate', { uri: `unix:${path}` });
    expect(await source.untilStatus('completed', 'failed')).toMatchObject({ status: 'failed' });
    await until(
      'running again',
      () => source.runState(),
      (state) => state === 'running',
    );
  });
});
