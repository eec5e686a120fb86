// SPDX-License-Identifier: Apache-2.0
/** A guest that is saved to a file or through a command, and started from it again: whole, or refused, and never lost. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMachine, until, type TestMachine } from '../support/machine.ts';

const MIB = 1024 ** 2;
const NONE = { machine: 'none', memoryBytes: 16 * MIB } as const;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-save-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A machine whose memory has been written all over. */
async function written(seed = 1): Promise<TestMachine> {
  const machine = await startMachine(NONE);
  await machine.execute('x-godwit-dirty', { 'pages-per-second': 200_000, seed });
  for (;;) {
    const reply = await machine.execute('x-godwit-dirty', { 'pages-per-second': 200_000, seed });
    if ((reply as { 'pages-written': number })['pages-written'] > 8000) break;
  }
  return machine;
}

async function memoryHash(machine: TestMachine): Promise<string> {
  const image = join(machine.process.folder, 'memory.ram');
  await machine.execute('pmemsave', { val: 0, size: NONE.memoryBytes, filename: image });
  return createHash('sha256').update(readFileSync(image)).digest('hex');
}

async function phaseOf(machine: TestMachine): Promise<string> {
  return ((await machine.execute('x-godwit-migration-phase')) as { phase: string }).phase;
}

async function save(source: TestMachine, uri: string): Promise<void> {
  await source.setCapabilities('events', 'return-path');
  await source.execute('migrate', { uri });
  const { status, 'error-desc': reason } = await source.untilStatus('completed', 'failed');
  expect(reason).toBeUndefined();
  expect(status).toBe('completed');
  expect(await source.runState()).toBe('postmigrate');
}

async function restored(uri: string): Promise<TestMachine> {
  const machine = await startMachine({ ...NONE, incoming: 'defer' });
  await machine.execute('migrate-incoming', { uri });
  await machine.untilRunState('running');
  return machine;
}

describe('a saved guest', () => {
  it.each([
    { what: 'file', save: 'file:{}', restore: 'file:{}' },
    { what: 'file with an offset', save: 'file:{},offset=1M', restore: 'file:{},offset=0x100000' },
    { what: 'command that compresses', save: 'exec:gzip -1 > {}', restore: 'exec:gzip -dc < {}' },
  ])('comes back whole from a $what', async ({ save: to, restore: from, what }) => {
    const path = join(folder, what.replaceAll(' ', '-'));
    await using source = await written();
    await save(source, to.replace('{}', path));
    await using copy = await restored(from.replace('{}', path));
    expect(await memoryHash(copy)).toBe(await memoryHash(source));
    expect((await copy.migration()).status).toBe('completed');
    if (to.startsWith('file:')) expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('keeps what the file has before the offset, and ends where the stream ends', async () => {
    const path = join(folder, 'kept');
    writeFileSync(path, Buffer.alloc(64 * MIB, 0x5a));
    await using source = await written();
    await save(source, `file:${path},offset=4k`);
    const bytes = readFileSync(path);
    expect(bytes.subarray(0, 4096).every((byte) => byte === 0x5a)).toBe(true);
    expect(bytes.subarray(4096, 4100).toString('latin1')).toBe('QEVM');
    expect(bytes.length).toBeLessThan(32 * MIB);
    await using copy = await restored(`file:${path},offset=4096`);
    expect(await memoryHash(copy)).toBe(await memoryHash(source));
  });

  it('may be restored more than once, also paused', async () => {
    const path = join(folder, 'twice');
    await using source = await written();
    await save(source, `file:${path}`);
    await using one = await restored(`file:${path}`);
    await using other = await startMachine({ ...NONE, incoming: `file:${path}`, paused: true });
    await other.untilStatus('completed');
    expect(await other.runState()).toBe('paused');
    expect(await memoryHash(other)).toBe(await memoryHash(one));
  });

  it('is whole where the command takes its last bytes late: the description behind the state is waited for', async () => {
    const [running, prompt, late] = ['running', 'prompt', 'late'].map((name) => join(folder, name));
    const paused = async (uri: string): Promise<TestMachine> => {
      const machine = await startMachine({ ...NONE, incoming: uri, paused: true });
      await machine.untilStatus('completed');
      return machine;
    };
    await using source = await written();
    await save(source, `file:${running}`);
    // Saved while it does not run it takes one pass, and so many bytes each time.
    await using one = await paused(`file:${running}`);
    await save(one, `file:${prompt}`);
    await using other = await paused(`file:${prompt}`);
    const bytes = statSync(prompt ?? '').size;
    // All but the last 100 bytes fit into the pipe (pipe(7)), the end of the state among them.
    await save(other, `exec:{ head -c ${bytes - 65_536 - 100}; sleep 1; cat; } > ${late}`);
    expect(statSync(late ?? '').size).toBe(bytes);
    await using again = await paused(`exec:cat < ${late}`);
    expect(await memoryHash(again)).toBe(await memoryHash(source));
  });
});

describe('a guest that cannot be saved goes on where it is', () => {
  it.each([
    ['file:/nonexistent/folder/vm', "Could not create '/nonexistent/folder/vm': No such file or directory"],
    ['file:/', "Could not create '/': Is a directory"],
    ['exec:exit 3', 'The command ended with 3'],
    ['exec:cat > /dev/full', 'No space left on device'],
  ])('by %s', async (uri, sentence) => {
    await using source = await written();
    const before = await source.execute('x-godwit-dirty', { 'pages-per-second': 1000 });
    await source.setCapabilities('events');
    await source.execute('migrate', { uri });
    const { status, 'error-desc': reason } = await source.untilStatus('completed', 'failed');
    expect(status).toBe('failed');
    expect(reason).toContain(sentence);
    await source.untilRunState('running');
    const after = await source.execute('x-godwit-dirty', { 'pages-per-second': 1000 });
    expect((after as Record<string, number>)['pages-written']).toBeGreaterThanOrEqual(
      (before as Record<string, number>)['pages-written'] ?? 0,
    );
  });

  it('when the disk is full, and the disk has its room back', async () => {
    const mount = join(folder, 'small');
    spawnSync('mkdir', ['-p', mount]);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mount]);
    if (mounted.status !== 0) return; // not root: /dev/full above has shown the same error
    try {
      await using source = await written();
      await source.setCapabilities('events');
      const path = join(mount, 'vm');
      await source.execute('migrate', { uri: `file:${path}` });
      const { status, 'error-desc': reason } = await source.untilStatus('completed', 'failed');
      expect(status).toBe('failed');
      expect(reason).toContain('No space left on device');
      await source.untilRunState('running');
      expect(statSync(path).size).toBe(0);
    } finally {
      spawnSync('umount', [mount]);
    }
  });

  it('when it is cancelled while a command takes nothing', async () => {
    await using source = await written();
    await source.setCapabilities('events');
    const marker = join(folder, 'ended');
    await source.execute('migrate', { uri: `exec:trap "touch ${marker}; exit 0" TERM; sleep 60 & wait` });
    await source.untilStatus('active');
    await source.execute('migrate_cancel');
    await source.untilStatus('cancelled');
    await source.untilRunState('running');
    await until(
      'the end of the command',
      () => Promise.resolve(existsSync(marker)),
      (there) => there,
    );
  });
});

describe('what cannot be restored is refused with its reason', () => {
  const refused = async (uri: string, sentence: string | RegExp): Promise<void> => {
    await using machine = await startMachine({ ...NONE, incoming: 'defer' });
    await machine.execute('migrate-incoming', { uri });
    expect((await machine.process.exited).code).toBe(1);
    expect(machine.process.lastWords()).toMatch(sentence);
  };

  it('a file that is not there, and a file of another kind', async () => {
    await using machine = await startMachine({ ...NONE, incoming: 'defer' });
    await expect(machine.execute('migrate-incoming', { uri: 'file:/nonexistent' })).rejects.toThrow(
      "Could not open '/nonexistent': No such file or directory",
    );
    await expect(machine.execute('migrate-incoming', { uri: 'file:/' })).rejects.toThrow('not a regular file');
    await expect(machine.execute('migrate-incoming', { uri: 'file:/etc/hostname,offset=1g' })).rejects.toThrow(
      'the offset is 1073741824',
    );
    // It may be tried again.
    await expect(machine.execute('migrate-incoming', { uri: 'file:/nonexistent' })).rejects.toThrow('No such file');
    await refused('file:/etc/passwd', 'Not a migration stream');
  });

  it('a file that ends early, and one of another machine', async () => {
    const path = join(folder, 'whole');
    await using source = await written();
    await save(source, `file:${path}`);
    const short = join(folder, 'short');
    writeFileSync(short, readFileSync(path).subarray(0, MIB));
    await refused(`file:${short}`, /load of migration failed/);
    await using larger = await startMachine({ ...NONE, memoryBytes: 32 * MIB, incoming: 'defer' });
    await larger.execute('migrate-incoming', { uri: `file:${path}` });
    await larger.process.exited;
    expect(larger.process.lastWords()).toContain('Size mismatch: ram');
  });
});

describe('a command that fails at the very end', () => {
  it('leaves the guest stopped at the source: a machine behind the command may have it', async () => {
    await using source = await written();
    await source.setCapabilities('events');
    await source.execute('migrate', { uri: 'exec:cat > /dev/null; echo no room >&2; exit 1' });
    const { status, 'error-desc': reason } = await source.untilStatus('completed', 'failed');
    expect(status).toBe('failed');
    expect(reason).toMatch(/^The command ended with 1: no room\. .* 'cont' runs it$/);
    expect(await source.runState()).toBe('postmigrate');
    await source.execute('cont');
    expect(await source.runState()).toBe('running');
  });

  it('leaves the guest loaded at the destination, not running, until the user says so', async () => {
    const path = join(folder, 'damaged.gz');
    await using source = await written();
    await save(source, `exec:gzip -1 > ${path}`);
    const bytes = readFileSync(path);
    bytes[bytes.length - 6] = (bytes.at(-6) ?? 0) ^ 0xff; // in the checksum
    writeFileSync(path, bytes);
    await using machine = await startMachine({ ...NONE, incoming: 'defer' });
    await machine.execute('migrate-incoming', { uri: `exec:gzip -dc < ${path}` });
    await machine.untilRunState('paused');
    const said = (await machine.execute('x-godwit-migration-phase')) as { phase: string; sentence: string };
    expect(said.phase).toBe('waiting');
    expect(said.sentence).toMatch(/crc error/);
    await machine.execute('cont');
    expect(await machine.runState()).toBe('running');
    expect(await memoryHash(machine)).toBe(await memoryHash(source));
  });

  it('is not waited for when the machine is told to quit, and ends its work by itself', async () => {
    const [path, gate] = [join(folder, 'left'), join(folder, 'gate')];
    await using source = await written();
    await source.execute('x-godwit-dirty', { 'pages-per-second': 0 });
    const hash = await memoryHash(source);
    execFileSync('mkfifo', [gate]);
    await source.execute('migrate', { uri: `exec:cat > ${path}.part; cat ${gate}; mv ${path}.part ${path}` });
    await until(
      'end of the stream',
      () => phaseOf(source),
      (phase) => phase === 'handed-over',
    );
    await source.execute('quit');
    expect((await source.process.exited).code).toBe(0);
    writeFileSync(gate, ''); // opens when the command reads it
    await until('saved file', () => Promise.resolve(existsSync(path)), Boolean);
    await using copy = await restored(`file:${path}`);
    expect(await memoryHash(copy)).toBe(hash);
  });
});
