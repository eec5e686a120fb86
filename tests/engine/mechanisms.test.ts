// SPDX-License-Identifier: Apache-2.0
/** What capabilities, modes, blockers and requests do to a machine without vCPUs. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { QmpClient } from '../../src-main/control/client.ts';
import { startMachine, until, type TestMachine } from '../support/machine.ts';

const MIB = 1024 ** 2;
const NONE = { machine: 'none', memoryBytes: 16 * MIB } as const;
const SLOW = { 'max-bandwidth': 4000 };

const startDestination = (): Promise<TestMachine> => startMachine({ ...NONE, incoming: 'defer' });
const statuses = ({ events }: TestMachine): string[] =>
  events.flatMap(({ event, data }) => (event === 'MIGRATION' ? [String(data?.['status'])] : [event]));
const passed = (machine: TestMachine): string[] => statuses(machine).filter((name) => name !== 'MIGRATION_PASS');

async function listen(destination: TestMachine): Promise<string> {
  const uri = `unix:${join(destination.process.folder, 'm.sock')}`;
  await destination.execute('migrate-incoming', { uri });
  return uri;
}

describe('release-ram', () => {
  it('gives the memory of a guest that has left back, and the guest cannot be run twice', async () => {
    await using source = await startMachine(NONE);
    await using destination = await startDestination();
    await source.execute('x-godwit-dirty', { 'pages-per-second': 100_000 });
    await until(
      'memory to be written',
      async () =>
        (await source.execute('x-godwit-dirty', { 'pages-per-second': 100_000 })) as { 'pages-written': number },
      (reply) => reply['pages-written'] > 4096,
    );
    await source.setCapabilities('events', 'return-path', 'release-ram');
    await destination.setCapabilities('events');
    await source.execute('migrate', { uri: await listen(destination) });
    await source.untilStatus('completed');
    await destination.untilRunState('running');
    const image = join(source.process.folder, 'after.ram');
    await source.execute('pmemsave', { val: 0, size: 16 * MIB, filename: image });
    expect(readFileSync(image).every((byte) => byte === 0)).toBe(true);
    await expect(source.execute('cont')).rejects.toThrow('its memory was released (release-ram)');
  });

  it('keeps the memory of a guest that stays', async () => {
    await using source = await startMachine(NONE);
    await source.setCapabilities('events', 'return-path', 'release-ram');
    await source.execute('migrate', { uri: `unix:${join(source.process.folder, 'nobody.sock')}` });
    await source.untilStatus('failed');
    expect(await source.runState()).toBe('running');
    await source.execute('stop');
    await source.execute('cont');
  });
});

describe('switchover-ack', () => {
  it('lets the guest go when the destination has said that it is ready', async () => {
    await using source = await startMachine(NONE);
    await using destination = await startDestination();
    for (const end of [source, destination]) await end.setCapabilities('events', 'return-path', 'switchover-ack');
    await source.execute('migrate', { uri: await listen(destination) });
    await source.untilStatus('completed');
    await destination.untilRunState('running');
  });

  it('keeps the guest running as long as the destination has not said so', async () => {
    await using source = await startMachine(NONE);
    await using destination = await startDestination();
    await source.setCapabilities('events', 'return-path', 'switchover-ack');
    await destination.setCapabilities('events', 'return-path');
    await source.execute('migrate', { uri: await listen(destination) });
    await source.untilStatus('active');
    // All of its memory is there in some milliseconds; two more windows would have stopped it.
    await until(
      'passes that change nothing',
      () => source.migration(),
      ({ ram }) => ram?.remaining === 0 && ram.transferred > 0,
    );
    expect(await source.runState()).toBe('running');
    expect(passed(source)).not.toContain('STOP');
    await source.execute('migrate_cancel');
    await source.untilStatus('cancelled');
    expect(await source.runState()).toBe('running');
  });
});

describe('mode cpr-reboot', () => {
  it('stops the guest before its memory is copied, and moves it', async () => {
    await using source = await startMachine(NONE);
    await using destination = await startDestination();
    for (const end of [source, destination]) {
      await end.setCapabilities('events', 'return-path');
      await end.execute('migrate-set-parameters', { mode: 'cpr-reboot' });
    }
    await source.execute('migrate', { uri: await listen(destination) });
    await source.untilStatus('completed');
    await destination.untilRunState('running');
    const order = passed(source);
    expect(order.indexOf('STOP')).toBeLessThan(order.indexOf('active'));
    expect(order.slice(-3)).toEqual(['STOP', 'active', 'completed']);
  });

  it('gives the guest back when it fails', async () => {
    await using source = await startMachine(NONE);
    await using destination = await startDestination();
    await source.setCapabilities('events', 'return-path');
    await source.execute('migrate-set-parameters', { mode: 'cpr-reboot', ...SLOW });
    await source.execute('migrate', { uri: await listen(destination) });
    await source.untilStatus('active');
    expect(await source.runState()).toBe('finish-migrate');
    destination.process.kill('SIGKILL');
    await source.untilStatus('failed');
    await source.untilRunState('running');
  });

  it('excludes what needs a guest that runs on, and cpr-transfer needs its channel', async () => {
    await using source = await startMachine(NONE);
    const uri = `unix:${join(source.process.folder, 'nobody.sock')}`;
    await source.execute('migrate-set-parameters', { mode: 'cpr-reboot' });
    for (const [name, sentence] of [
      ['postcopy-ram', 'Cannot use postcopy with CPR'],
      ['background-snapshot', 'Cannot use background snapshot with CPR'],
      ['x-colo', 'Cannot use COLO with CPR'],
    ] as const) {
      await source.execute('migrate-set-capabilities', { capabilities: [{ capability: name, state: true }] });
      await expect(source.execute('migrate', { uri })).rejects.toThrow(sentence);
      await source.execute('migrate-set-capabilities', { capabilities: [{ capability: name, state: false }] });
    }
    await source.execute('migrate-set-parameters', { mode: 'cpr-transfer' });
    await expect(source.execute('migrate', { uri })).rejects.toThrow("missing 'cpr' migration channel");
    expect(await source.migration()).toEqual({});
  });
});

describe('a blocker', () => {
  it('is what migrate answers and what query-migrate lists, the newest first, by mode, until it is removed', async () => {
    await using source = await startMachine(NONE);
    const uri = `unix:${join(source.process.folder, 'nobody.sock')}`;
    const add = async (reason: string, modes?: string[]) =>
      (await source.execute('x-godwit-add-blocker', { reason, ...(modes && { modes }) })) as { id: number };
    const first = await add('The tape is in the drive');
    const second = await add('The printer prints', ['normal']);
    expect((await source.migration())['blocked-reasons']).toEqual(['The printer prints', 'The tape is in the drive']);
    await expect(source.execute('migrate', { uri })).rejects.toThrow('The printer prints');
    await source.execute('migrate-set-parameters', { mode: 'cpr-reboot' });
    expect((await source.migration())['blocked-reasons']).toEqual(['The tape is in the drive']);
    await expect(source.execute('migrate', { uri })).rejects.toThrow('The tape is in the drive');
    await source.execute('migrate-set-parameters', { mode: 'normal' });
    await source.execute('x-godwit-remove-blocker', { id: second.id });
    await source.execute('x-godwit-remove-blocker', { id: first.id });
    await expect(source.execute('x-godwit-remove-blocker', { id: first.id })).rejects.toThrow('no blocker with the id');
    expect(await source.migration()).toEqual({});
    await source.execute('migrate', { uri });
    await source.untilStatus('failed');
  });

  it('is refused while a migration runs, and on a machine that must always be able to move', async () => {
    await using source = await startMachine(NONE);
    await using destination = await startDestination();
    await source.execute('migrate-set-parameters', SLOW);
    await source.execute('migrate', { uri: await listen(destination) });
    await source.untilStatus('active');
    await expect(source.execute('x-godwit-add-blocker', { reason: 'Too late' })).rejects.toThrow(
      'disallowing migration blocker (migration/snapshot in progress) for: Too late',
    );
    await using free = await startMachine({ ...NONE, onlyMigratable: true });
    await expect(free.execute('x-godwit-add-blocker', { reason: 'Never' })).rejects.toThrow(
      'disallowing migration blocker (--only-migratable) for: Never',
    );
  });
});

describe('a destination that was told not to exit on an error', () => {
  it('stays to say what was wrong, and takes no other guest', async () => {
    await using destination = await startDestination();
    await destination.setCapabilities('events');
    const path = join(destination.process.folder, 'm.sock');
    await destination.execute('migrate-incoming', { uri: `unix:${path}`, 'exit-on-error': false });
    const socket = connect(path);
    socket.on('error', () => undefined);
    socket.write('This is no migration stream, however long one looks at it.');
    const info = await destination.untilStatus('failed');
    socket.destroy();
    expect(info['error-desc']).toBe('load of migration failed: Not a migration stream');
    expect(await destination.runState()).toBe('inmigrate');
    await expect(destination.execute('migrate-incoming', { uri: `unix:${path}` })).rejects.toThrow(
      'The incoming migration has already been started',
    );
  });
});

describe('out of band', () => {
  it('a yank ends a migration whose peer hangs, and the guest goes on', async () => {
    await using source = await startMachine(NONE);
    const path = join(source.process.folder, 'silent.sock');
    const server = createServer((socket) => socket.on('error', () => undefined).pause());
    server.listen(path);
    await once(server, 'listening');
    try {
      await source.execute('x-godwit-dirty', { 'pages-per-second': 100_000 });
      await source.execute('migrate-set-parameters', { 'max-bandwidth': 0 });
      await source.execute('migrate', { uri: `unix:${path}` });
      await source.untilStatus('active');
      const user = await QmpClient.connect(source.process.userQmpPath, { timeoutMs: 10_000, oob: true });
      expect(await user.execute('query-yank', undefined, { oob: true })).toContainEqual({ type: 'migration' });
      await user.execute('yank', { instances: [{ type: 'migration' }] }, { oob: true });
      await source.untilStatus('failed');
      await source.untilRunState('running');
      await expect(user.execute('query-status', undefined, { oob: true })).rejects.toThrow('does not support OOB');
      await user.close();
    } finally {
      server.close();
    }
  });

  it('a yank of a monitor ends its connection only', async () => {
    await using source = await startMachine(NONE);
    const user = await QmpClient.connect(source.process.userQmpPath, { timeoutMs: 10_000 });
    await source.execute('yank', { instances: [{ type: 'chardev', id: 'compat_monitor1' }] });
    await user.closed;
    const again = await QmpClient.connect(source.process.userQmpPath, { timeoutMs: 10_000 });
    expect(await again.execute('query-status')).toMatchObject({ running: true });
    await again.close();
  });
});

describe('query-migrationthreads', () => {
  it('names the thread that sends while one does', async () => {
    await using source = await startMachine(NONE);
    await using destination = await startDestination();
    expect(await source.execute('query-migrationthreads')).toEqual([]);
    await source.execute('migrate-set-parameters', SLOW);
    await source.execute('migrate', { uri: await listen(destination) });
    await source.untilStatus('active');
    const [thread] = (await source.execute('query-migrationthreads')) as { name: string; 'thread-id': number }[];
    expect(thread?.name).toBe('live_migration');
    const comm = `/proc/${String(source.process.pid)}/task/${String(thread?.['thread-id'])}/comm`;
    expect(readFileSync(comm, 'utf8').trim()).toBe('channel-out');
  });
});

describe('calc-dirty-rate', () => {
  const measured = (machine: TestMachine) =>
    until(
      'a measurement',
      async () => (await machine.execute('query-dirty-rate')) as { status: string; 'dirty-rate'?: number },
      ({ status }) => status === 'measured',
    );

  it('finds nothing in memory that nobody writes, and about what is written where somebody does', async () => {
    await using machine = await startMachine({ machine: 'none', memoryBytes: 256 * MIB });
    expect(await machine.execute('query-dirty-rate')).toEqual({
      status: 'unstarted',
      'start-time': 0,
      'calc-time': 0,
      'calc-time-unit': 'second',
      'sample-pages': 0,
      mode: 'page-sampling',
    });
    const request = { 'calc-time': 500, 'calc-time-unit': 'millisecond', 'sample-pages': 4096 };
    await machine.execute('calc-dirty-rate', request);
    await expect(machine.execute('calc-dirty-rate', request)).rejects.toThrow(
      'the dirty rate is already being measured.',
    );
    expect((await measured(machine))['dirty-rate']).toBe(0);
    // All pages of half the memory are written many times over: half of the samples have changed.
    await machine.execute('x-godwit-dirty', { 'pages-per-second': 400_000, 'working-set': 128 * MIB });
    await machine.execute('calc-dirty-rate', request);
    const { 'dirty-rate': rate = 0, ...rest } = await measured(machine);
    expect(rest).toMatchObject({ 'sample-pages': 4096, mode: 'page-sampling' });
    expect(rate).toBeGreaterThan(50);
    expect(rate).toBeLessThan(256 / 0.5);
  });

  it('is given up when the guest leaves', async () => {
    await using source = await startMachine(NONE);
    await using destination = await startDestination();
    await source.execute('calc-dirty-rate', { 'calc-time': 60 });
    await source.setCapabilities('events', 'return-path', 'release-ram');
    await source.execute('migrate', { uri: await listen(destination) });
    await source.untilStatus('completed');
    await until(
      'the end of the measurement',
      async () => (await source.execute('query-dirty-rate')) as { status: string },
      ({ status }) => status === 'unstarted',
    );
  });

  it('refuses what this machine has no tracker for', async () => {
    await using machine = await startMachine(NONE);
    await expect(machine.execute('calc-dirty-rate', { 'calc-time': 1, mode: 'dirty-ring' })).rejects.toThrow(
      'mode dirty-ring is not enabled, use other method instead.',
    );
    await expect(
      machine.execute('calc-dirty-rate', { 'calc-time': 1, mode: 'dirty-bitmap', 'sample-pages': 200 }),
    ).rejects.toThrow('sample-pages is used only in page-sampling mode');
  });
});
