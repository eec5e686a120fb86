// SPDX-License-Identifier: Apache-2.0
/** Every form of an address that the reference lists (qmp-migration.md 3), at both ends. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMachine, type TestMachine } from '../support/machine.ts';

const NONE = { machine: 'none', memoryBytes: 4 * 1024 ** 2 } as const;
let source: TestMachine;
let destination: TestMachine;
beforeAll(async () => {
  [source, destination] = await Promise.all([startMachine(NONE), startMachine({ ...NONE, incoming: 'defer' })]);
});
afterAll(async () => {
  await Promise.all([source.dispose(), destination.dispose()]);
});

describe('an address that cannot be', () => {
  it.each([
    ['', 'unknown migration protocol: '],
    ['foo', 'unknown migration protocol: foo'],
    ['TCP:127.0.0.1:1', 'unknown migration protocol: TCP:127.0.0.1:1'],
    ['tcp:', "error parsing address ''"],
    ['tcp:127.0.0.1', "error parsing address '127.0.0.1'"],
    ['tcp:[::1', "error parsing IPv6 address '[::1'"],
    ['tcp:127.0.0.1:1,to=x', 'error parsing to= argument'],
    ['tcp:127.0.0.1:1,ipv4=maybe', "error parsing 'ipv4' flag '=maybe'"],
    ['tcp:127.0.0.1:1,ipv4=off,ipv6=off', 'Cannot disable IPv4 and IPv6 at same time'],
    ['unix:', 'invalid Unix socket address'],
    [`unix:/${'x'.repeat(120)}`, 'is too long'],
    ['fd:', 'invalid file descriptor address'],
    ['fd:nosuch', "File descriptor named 'nosuch' has not been found"],
    ['vsock:', "error parsing address ''"],
    ['vsock:5', "error parsing address '5'"],
    ['vsock:x:1', "Failed to parse cid 'x'"],
    ['vsock:1:x', "Failed to parse port 'x'"],
    ['rdma:', "RDMA ERROR: bad RDMA migration address ''"],
    ['rdma:1.2.3.4', "RDMA ERROR: bad RDMA migration address '1.2.3.4'"],
    ['rdma:1.2.3.4:5', 'Migration over rdma is not supported'],
    ['file:', 'No such file or directory'],
    ['file:/tmp/x,offset=zz', 'file URI has bad offset zz: Invalid argument'],
    ['file:/tmp/x,offset=-1', 'file URI has bad offset -1: Numerical result out of range'],
  ])('%j is refused at both ends, and neither has changed', async (uri, sentence) => {
    await expect(source.execute('migrate', { uri })).rejects.toThrow(sentence);
    await expect(destination.execute('migrate-incoming', { uri })).rejects.toThrow(sentence);
    expect(await source.migration()).toEqual({});
    expect(await destination.migration()).toEqual({});
  });

  it('the name of a service fails as an attempt at the source, and at once at the destination', async () => {
    const sentence = 'address resolution failed for 127.0.0.1:x: Servname not supported for ai_socktype';
    await expect(destination.execute('migrate-incoming', { uri: 'tcp:127.0.0.1:x' })).rejects.toThrow(sentence);
    await using machine = await startMachine(NONE);
    await machine.execute('migrate', { uri: 'tcp:127.0.0.1:x' });
    expect((await machine.untilStatus('failed'))['error-desc']).toBe(sentence);
  });

  it('a virtual machine that is not there fails as an attempt, and the guest goes on', async () => {
    await using machine = await startMachine(NONE);
    await machine.execute('migrate', { uri: 'vsock:77:1234' });
    // Why depends on the kernel: no such peer, or no vsock at all.
    expect((await machine.untilStatus('failed'))['error-desc']).toMatch(/^Failed to connect to '77:1234': /);
    expect(await machine.runState()).toBe('running');
    const addr = { transport: 'socket', type: 'vsock', cid: 'me', port: '1' };
    const channels = [{ 'channel-type': 'main', addr }];
    await expect(machine.execute('migrate', { channels })).rejects.toThrow("Failed to parse cid 'me'");
  });

  it('is refused with both forms at once, and with neither', async () => {
    const channels = [{ 'channel-type': 'main', addr: { transport: 'socket', type: 'unix', path: '/x' } }];
    for (const args of [{}, { uri: 'unix:/x', channels }, { channels: [] }]) {
      await expect(source.execute('migrate', args)).rejects.toThrow("need either 'uri' or 'channels' argument");
    }
    await expect(source.execute('migrate', { channels: [...channels, ...channels] })).rejects.toThrow(
      'Channel list has more than one entries',
    );
  });
});

describe('an address to listen at', () => {
  const listening = async (args: Readonly<Record<string, unknown>>): Promise<unknown> => {
    await using machine = await startMachine({ ...NONE, incoming: 'defer' });
    await machine.execute('migrate-incoming', args);
    return (await machine.migration())['socket-address'];
  };

  it.each([
    ['tcp:127.0.0.1:0', { type: 'inet', host: '127.0.0.1', ipv4: true }],
    ['tcp:[::1]:0', { type: 'inet', host: '::1', ipv6: true }],
    ['tcp::0', { type: 'inet' }],
  ])('%s answers the real port', async (uri, expected) => {
    const [address] = (await listening({ uri })) as { port: string }[];
    expect(address).toMatchObject(expected);
    expect(Number(address?.port)).toBeGreaterThan(0);
  });

  it('a channel list says the same as a URI', async () => {
    const addr = { transport: 'socket', type: 'inet', host: '127.0.0.1', port: '0' };
    expect(await listening({ channels: [{ 'channel-type': 'main', addr }] })).toMatchObject([{ type: 'inet' }]);
  });

  it('a range takes the first port that is free, and says so where none is', async () => {
    const taken = createServer();
    taken.listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    try {
      const [address] = (await listening({ uri: `tcp:127.0.0.1:${port},to=${port + 20}` })) as { port: string }[];
      expect(Number(address?.port)).toBeGreaterThan(port);
      await expect(listening({ uri: `tcp:127.0.0.1:${port}` })).rejects.toThrow(
        'Failed to find an available port: Address already in use',
      );
    } finally {
      taken.close();
    }
  });

  it('IPv6 carries a guest', async () => {
    await using from = await startMachine(NONE);
    await using to = await startMachine({ ...NONE, incoming: 'defer' });
    await to.execute('migrate-incoming', { uri: 'tcp:[::1]:0' });
    const [address] = ((await to.migration())['socket-address'] ?? []) as { port: string }[];
    await from.setCapabilities('events', 'return-path');
    await from.execute('migrate', { uri: `tcp:[::1]:${String(address?.port)}` });
    await from.untilStatus('completed');
    await to.untilRunState('running');
  });
});
