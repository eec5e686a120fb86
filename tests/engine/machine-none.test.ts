// SPDX-License-Identifier: Apache-2.0
/** What machine `none` does by itself: files in its RAM, and the thread that writes to it. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MachineSpawnOptions } from '../../src-main/manager/machines/builtin.ts';
import { skipWithoutKvm } from '../support/skip-without-kvm.ts';
import { startMachine, until, type TestMachine } from '../support/machine.ts';

const MIB = 1024 ** 2;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'godwit-none-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function fileOf(name: string, bytes: Uint8Array): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, bytes);
  return file;
}

/** All RAM of a machine. */
async function memoryOf(machine: TestMachine, bytes: number): Promise<Buffer> {
  const filename = join(machine.process.folder, 'ram');
  await machine.execute('pmemsave', { val: 0, size: bytes, filename });
  return readFile(filename);
}

const startNone = (options: Partial<MachineSpawnOptions> = {}) =>
  startMachine({ machine: 'none', memoryBytes: 4 * MIB, ...options });

/** Answers how many pages have been written. */
async function dirty(machine: TestMachine, args: Readonly<Record<string, unknown>>): Promise<number> {
  const reply = (await machine.execute('x-godwit-dirty', args)) as { 'pages-written': number };
  return reply['pages-written'];
}

describe('--load', () => {
  it('puts files into RAM in their order, up to its last byte', async () => {
    const first = randomBytes(3 * MIB);
    const second = randomBytes(100);
    await using machine = await startNone({
      load: [
        { file: await fileOf('first@x', first), address: 1 * MIB },
        { file: await fileOf('second', second), address: 4 * MIB - 100 },
      ],
    });
    const expected = Buffer.alloc(4 * MIB);
    first.copy(expected, 1 * MIB);
    second.copy(expected, 4 * MIB - 100);
    expect((await memoryOf(machine, 4 * MIB)).equals(expected)).toBe(true);
    expect(await machine.runState()).toBe('running');
  });

  it('is refused with a sentence when the file is not there, is no file, or does not fit', async () => {
    const large = await fileOf('large', Buffer.alloc(1 * MIB + 1));
    await expect(startNone({ load: [{ file: join(folder, 'absent'), address: 0 }] })).rejects.toThrow(
      `--load ${join(folder, 'absent')}: it cannot be read (no such file or directory)`,
    );
    await expect(startNone({ load: [{ file: folder, address: 0 }] })).rejects.toThrow(/it is not a regular file$/);
    await expect(startNone({ load: [{ file: large, address: 3 * MIB }] })).rejects.toThrow(
      `--load ${large}: its 1048577 bytes do not fit at 0x300000, since RAM ends at 4M: ` +
        'give the machine more --memory or load it lower',
    );
  });
});

describe('x-godwit-dirty', () => {
  it('writes while the machine runs, stays in its working set, and stops on stop and on 0', async () => {
    await using machine = await startNone({ paused: true });
    expect(await dirty(machine, { 'pages-per-second': 100_000, 'working-set': MIB, seed: 3 })).toBe(0);
    const untouched = await memoryOf(machine, 4 * MIB);
    expect(untouched.equals(Buffer.alloc(4 * MIB))).toBe(true);

    await machine.execute('cont');
    const written = await until(
      'a thousand pages',
      () => dirty(machine, { 'pages-per-second': 100_000, 'working-set': MIB, seed: 3 }),
      (pages) => pages > 1000,
    );
    await machine.execute('stop');
    const stopped = await memoryOf(machine, 4 * MIB);
    expect(stopped.subarray(0, MIB).equals(Buffer.alloc(MIB))).toBe(false);
    expect(stopped.subarray(MIB).equals(Buffer.alloc(3 * MIB))).toBe(true);
    expect((await memoryOf(machine, 4 * MIB)).equals(stopped)).toBe(true);

    await machine.execute('cont');
    const goesOn = () => dirty(machine, { 'pages-per-second': 50_000 });
    await until('more pages', goesOn, (pages) => pages > written + 1000);
    const last = await dirty(machine, { 'pages-per-second': 0 });
    const quiet = await memoryOf(machine, 4 * MIB);
    expect((await memoryOf(machine, 4 * MIB)).equals(quiet)).toBe(true);
    expect(await dirty(machine, { 'pages-per-second': 0 })).toBe(last);
  });

  it('is stopped by a migration, goes on when that fails, and is not inherited', async () => {
    await using source = await startNone();
    await using destination = await startNone({ incoming: 'defer' });
    await dirty(source, { 'pages-per-second': 20_000 });
    await source.execute('migrate', { uri: `unix:${join(folder, 'nobody')}` });
    await source.untilStatus('failed');
    const before = await dirty(source, { 'pages-per-second': 20_000 });
    await until(
      'pages after the failure',
      () => dirty(source, { 'pages-per-second': 20_000 }),
      (pages) => pages > before,
    );

    const uri = `unix:${join(destination.process.folder, 'migration.sock')}`;
    await destination.execute('migrate-incoming', { uri });
    await source.execute('migrate', { uri });
    await source.untilStatus('completed');
    await destination.untilRunState('running');
    const arrived = await memoryOf(destination, 4 * MIB);
    expect(arrived.equals(await memoryOf(source, 4 * MIB))).toBe(true);
    expect((await memoryOf(destination, 4 * MIB)).equals(arrived)).toBe(true);
    expect(await dirty(destination, { 'pages-per-second': 0 })).toBe(0);
  });

  it('is refused with a sentence for what cannot be', async (context) => {
    skipWithoutKvm(context);
    await using machine = await startNone();
    await expect(dirty(machine, {})).rejects.toThrow("Parameter 'pages-per-second' is missing");
    await expect(dirty(machine, { 'pages-per-second': 1_000_001 })).rejects.toThrow(
      "Parameter 'pages-per-second' expects 0 to 1000000",
    );
    for (const size of [0, 4095, 5000, 5 * MIB, 2 ** 60]) {
      await expect(dirty(machine, { 'pages-per-second': 1, 'working-set': size })).rejects.toThrow(
        "Parameter 'working-set' expects a multiple of 4096 up to 4194304, the size of RAM in bytes",
      );
    }
    await using microvm = await startMachine({ paused: true });
    await expect(dirty(microvm, { 'pages-per-second': 1 })).rejects.toThrow('x-godwit-dirty needs machine none');
  });
});
