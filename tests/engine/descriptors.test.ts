// SPDX-License-Identifier: Apache-2.0
/** Descriptors that clients pass to a monitor, and migrations over them. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QmpClient } from '../../src-main/control/client.ts';
import { startMachine, until, type TestMachine } from '../support/machine.ts';
import { connectByDescriptor, passDescriptors, type PassingStep } from '../support/pass-descriptors.ts';

const MIB = 1024 ** 2;
const NONE = { machine: 'none', memoryBytes: 8 * MIB } as const;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-descriptors-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Steps at the user's monitor of a machine: its other one is the test's. */
async function sentences(machine: TestMachine, steps: readonly Omit<PassingStep, 'monitor'>[]): Promise<string[]> {
  const monitor = machine.process.userQmpPath;
  const replies = await passDescriptors(steps.map((step) => ({ monitor, ...step })));
  return replies.map(({ error }) => error?.desc ?? '');
}

const getfd = (fdname: string, ...pass: NonNullable<PassingStep['pass']>): Omit<PassingStep, 'monitor'> => ({
  execute: 'getfd',
  arguments: { fdname },
  pass,
});
const closefd = (fdname: string): Omit<PassingStep, 'monitor'> => ({ execute: 'closefd', arguments: { fdname } });
const migrate = (uri: string): Omit<PassingStep, 'monitor'> => ({ execute: 'migrate', arguments: { uri } });

/** Its memory after it was written all over for a while; it is written no more. */
async function memoryHash(machine: Pick<TestMachine, 'execute'>, file: string): Promise<string> {
  const filename = join(folder, file);
  await machine.execute('pmemsave', { val: 0, size: NONE.memoryBytes, filename });
  return createHash('sha256').update(readFileSync(filename)).digest('hex');
}

async function written(): Promise<TestMachine> {
  const machine = await startMachine(NONE);
  await until(
    'written memory',
    () => machine.execute('x-godwit-dirty', { 'pages-per-second': 200_000, seed: 3 }),
    (reply) => (reply as { 'pages-written': number })['pages-written'] > 5000,
  );
  await machine.execute('x-godwit-dirty', { 'pages-per-second': 0 });
  return machine;
}

describe('getfd and closefd', () => {
  it('give a descriptor a name until it is closed, replaced or used', async () => {
    await using machine = await startMachine(NONE);
    expect(
      await sentences(machine, [
        getfd('mine'),
        getfd('1st', 'a'),
        getfd('mine', 'a'),
        getfd('mine', 'b', 'r'),
        closefd('mine'),
        closefd('mine'),
        migrate('fd:mine'),
        migrate('fd:3'),
        getfd('null', 'null'),
        migrate('fd:null'),
        closefd('null'),
      ]),
    ).toEqual([
      'No file descriptor supplied via SCM_RIGHTS',
      "Parameter 'fdname' expects a name not starting with a digit",
      '',
      '',
      '',
      "File descriptor named 'mine' not found",
      "File descriptor named 'mine' has not been found",
      "File descriptor named '3' has not been found",
      '',
      '',
      "File descriptor named 'null' not found",
    ]);
  });

  it('take the descriptors that came last, and none that came with another command and were left', async () => {
    await using machine = await startMachine(NONE);
    expect(
      await sentences(machine, [
        { execute: 'query-status', pass: ['f'] },
        getfd('pipe', 'w'),
        // A regular file would be refused.
        migrate('fd:pipe'),
      ]),
    ).toEqual(['', '', '']);
  });

  it('are the monitor’s own', async () => {
    await using machine = await startMachine(NONE);
    expect(await sentences(machine, [getfd('mine', 'a')])).toEqual(['']);
    await expect(machine.execute('migrate', { uri: 'fd:mine' })).rejects.toThrow(
      "File descriptor named 'mine' has not been found",
    );
    // A client that comes later finds what the one before has named.
    expect(await sentences(machine, [closefd('mine')])).toEqual(['']);
  });

  it('leave no descriptor open when the names are gone', async () => {
    await using machine = await startMachine(NONE);
    const open = (): number => readdirSync(`/proc/${machine.process.pid}/fd`).length;
    await sentences(machine, [closefd('n0')]);
    const before = open();
    for (let round = 0; round < 5; round += 1) {
      const steps = Array.from({ length: 40 }, (_, index) => getfd(`n${index % 3}`, 'a', 'b', 'r', 'w'));
      await sentences(machine, [...steps, closefd('n0'), closefd('n1'), closefd('n2')]);
    }
    await until(
      'open descriptors',
      () => Promise.resolve(open()),
      (count) => count <= before,
    );
  });
});

describe('a migration over a descriptor', () => {
  it.each([
    { kind: 'socket', capabilities: ['return-path', 'events'] },
    { kind: 'socket', capabilities: [] },
    { kind: 'pipe', capabilities: ['return-path'] },
    { kind: 'pipe', capabilities: [] },
  ] as const)('moves the guest whole through a $kind with $capabilities', async ({ kind, capabilities }) => {
    await using source = await written();
    await using destination = await startMachine({ ...NONE, incoming: 'defer' });
    await source.setCapabilities(...capabilities);
    const hash = await memoryHash(source, 'before');
    await connectByDescriptor(
      { source: source.process.userQmpPath, destination: destination.process.userQmpPath },
      kind,
    );
    expect((await source.untilStatus('completed', 'failed')).status).toBe('completed');
    await destination.untilRunState('running');
    expect(await memoryHash(destination, 'after')).toBe(hash);
    expect(await source.runState()).toBe('postmigrate');
  });

  it('is refused over a regular file, which has a transport of its own', async () => {
    await using source = await startMachine(NONE);
    const refusal = 'fd: migration to a file is not supported. Use "file:" instead.';
    expect(await sentences(source, [getfd('file', 'f'), migrate('fd:file')])).toEqual(['', refusal]);
    expect(await source.runState()).toBe('running');
  });

  it('gives the guest back when it is cancelled while nobody takes anything, and when nobody can', async () => {
    await using source = await startMachine({ ...NONE, memoryBytes: 64 * MIB });
    await source.execute('x-godwit-dirty', { 'pages-per-second': 50_000 });
    await using holder = await startMachine(NONE);
    const [mine, theirs] = [source.process.userQmpPath, holder.process.userQmpPath];
    await passDescriptors([
      { monitor: theirs, ...getfd('end', 'b') },
      { monitor: mine, ...getfd('end', 'a') },
      { monitor: mine, ...migrate('fd:end') },
    ]);
    await source.untilStatus('active');
    await source.execute('migrate_cancel');
    expect((await source.untilStatus('cancelled', 'failed')).status).toBe('cancelled');
    expect(await source.runState()).toBe('running');
    // The wrong end of a pipe.
    await passDescriptors([
      { monitor: mine, ...getfd('end', 'r') },
      { monitor: mine, ...migrate('fd:end') },
    ]);
    expect((await source.untilStatus('completed', 'failed'))['error-desc']).toMatch(/Bad file descriptor/);
    expect(await source.runState()).toBe('running');
  });
});

describe('--incoming fd:N', () => {
  it('loads the guest from a descriptor that the machine was started with', async () => {
    await using source = await written();
    const hash = await memoryHash(source, 'saved');
    const file = join(folder, 'stream');
    await source.execute('migrate', { uri: `file:${file}` });
    expect((await source.untilStatus('completed', 'failed')).status).toBe('completed');
    const monitor = join(folder, 'started.sock');
    await using machine = startWith(['--qmp', `unix:${monitor}`, '--incoming', 'fd:3']);
    machine.stream.end(readFileSync(file));
    const qmp = await QmpClient.connect(monitor, { timeoutMs: 30_000, waitForSocketMs: 30_000 });
    await until(
      'running guest',
      () => qmp.execute('query-status'),
      (reply) => (reply as { status: string }).status === 'running',
    );
    expect(await memoryHash(qmp, 'loaded')).toBe(hash);
    // It was used, and its number may be another's by now.
    await expect(qmp.execute('migrate-incoming', { uri: 'fd:3' })).rejects.toThrow('has already been started');
    await qmp.close();
  });

  it('is never the connection by which an attached machine notices the end of its parent', async () => {
    await using machine = await startMachine({ ...NONE, incoming: 'defer' });
    await expect(machine.execute('migrate-incoming', { uri: 'fd:3' })).rejects.toThrow(
      "Invalid file descriptor number '3': this machine was not started with it",
    );
    expect(await machine.runState()).toBe('inmigrate');
  });

  it.each([
    ['fd:99', "Invalid file descriptor number '99': this machine was not started with it"],
    ['fd:0', "Invalid file descriptor number '0': 0 to 2 are the machine's own"],
    ['fd:3x', "Invalid file descriptor number '3x'"],
    ['fd:name', "File descriptor named 'name' has not been found"],
  ])('is refused for %s', async (uri, sentence) => {
    await using machine = startWith(['--qmp', `unix:${join(folder, 'refused.sock')}`, '--incoming', uri]);
    expect(await machine.lastWords).toContain(sentence);
  });
});

/** A machine process with a connection as its descriptor 3. */
function startWith(args: readonly string[]): AsyncDisposable & { stream: Writable; lastWords: Promise<string> } {
  const main = join(import.meta.dirname, '../../src-main/machine/main.ts');
  const child = spawn(process.execPath, [main, '--machine', 'none', '--memory', '8M', ...args], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const lastWords = new Promise<string>((resolve) => child.once('close', () => resolve(stderr)));
  const stream = child.stdio[3] as Writable;
  stream.on('error', () => undefined); // a machine that refuses closes it
  return {
    stream,
    lastWords,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await lastWords;
    },
  };
}
