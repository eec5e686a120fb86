// SPDX-License-Identifier: Apache-2.0
/** Each defect of the originals that the reference lists (qmp-migration.md 15), and what a machine of ours does instead. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canTransition } from '../../src-shared/migration/transitions.ts';
import { MIGRATION_STATUSES } from '../../src-shared/migration/status.ts';
import { startMachine, type TestMachine } from '../support/machine.ts';

const NONE = { machine: 'none', memoryBytes: 16 * 1024 ** 2 } as const;

let source: TestMachine;
let destination: TestMachine;
beforeAll(async () => {
  [source, destination] = await Promise.all([startMachine(NONE), startMachine({ ...NONE, incoming: 'defer' })]);
});
afterAll(async () => {
  await Promise.all([source.dispose(), destination.dispose()]);
});

/** Refused with a sentence, and the machine is as it was. */
async function refused(args: Readonly<Record<string, unknown>>, sentence: string | RegExp): Promise<void> {
  await expect(source.execute('migrate', args)).rejects.toThrow(sentence);
  await expect(destination.execute('migrate-incoming', args)).rejects.toThrow(sentence);
  expect(await source.migration()).toEqual({});
  expect(await destination.migration()).toEqual({});
  expect(await source.runState()).toBe('running');
  expect(await destination.runState()).toBe('inmigrate');
}

describe('what the originals get wrong', () => {
  it.each(['rdma:', 'rdma:1.2.3.4', 'rdma:[::1'])('%s does not end the process (10.0: SIGABRT)', async (uri) => {
    await refused({ uri }, `RDMA ERROR: bad RDMA migration address '${uri.slice(5)}'`);
  });

  it('a channel list with nothing but a cpr entry does not end the process (10.0: SIGSEGV)', async () => {
    const addr = { transport: 'socket', type: 'unix', path: '/nowhere' };
    await refused({ channels: [{ 'channel-type': 'cpr', addr }] }, 'Channel list has no main entry');
  });

  it('exec without arguments does not end the process (10.0: SIGSEGV)', async () => {
    const addr = { transport: 'exec', args: [] };
    await refused({ channels: [{ 'channel-type': 'main', addr }] }, 'exec needs at least one argument');
  });

  it('a port beyond 65535 is refused (both: taken modulo 65536)', async () => {
    await expect(destination.execute('migrate-incoming', { uri: 'tcp:127.0.0.1:99999' })).rejects.toThrow(
      'address resolution failed for 127.0.0.1:99999',
    );
    await expect(source.execute('migrate', { uri: 'tcp:127.0.0.1:99999' })).rejects.toThrow(
      'address resolution failed for 127.0.0.1:99999',
    );
    expect(await source.migration()).toEqual({});
  });

  it('multifd, and compression in it, are refused before anybody waits for a channel (both: hang)', async () => {
    for (const end of [source, destination]) {
      await end.setCapabilities('multifd');
      await end.execute('migrate-set-parameters', { 'multifd-compression': 'zlib', 'multifd-channels': 4 });
    }
    const uri = `unix:${join(source.process.folder, 'm.sock')}`;
    await refused({ uri }, "Capability 'multifd' is not supported by this version of Godwit");
    for (const end of [source, destination]) {
      await end.execute('migrate-set-parameters', { 'multifd-compression': 'none', 'multifd-channels': 2 });
      await end.execute('migrate-set-capabilities', { capabilities: [{ capability: 'multifd', state: false }] });
    }
  });

  it('a cancel cannot stick in postcopy-paused (7.2: cancelling for ever)', () => {
    for (const status of MIGRATION_STATUSES.filter((name) => name.startsWith('postcopy-'))) {
      expect(canTransition('source', status, 'cancelling'), status).toBe(false);
    }
  });

  it('a failure is announced once (both, with multifd: twice)', async () => {
    const path = join(source.process.folder, 'closing.sock');
    const server = createServer((socket) => socket.on('error', () => undefined).destroy());
    server.listen(path);
    await once(server, 'listening');
    try {
      await source.setCapabilities('events', 'return-path');
      const before = source.events.length;
      await source.execute('migrate', { uri: `unix:${path}` });
      await source.untilStatus('failed');
      await source.execute('query-status');
      const failed = source.events.slice(before).filter(({ data }) => data?.['status'] === 'failed');
      expect(failed).toHaveLength(1);
    } finally {
      server.close();
    }
  });

  it('migrate-incoming may be tried again after a port that was taken (10.0: stuck in setup)', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const uri = `tcp:127.0.0.1:${String(port)}`;
    await expect(destination.execute('migrate-incoming', { uri })).rejects.toThrow('Address already in use');
    expect(await destination.migration()).toEqual({});
    server.close();
    await once(server, 'close');
    await destination.execute('migrate-incoming', { uri });
    expect(await destination.migration()).toMatchObject({ status: 'setup' });
  });
});
