// SPDX-License-Identifier: Apache-2.0
/** `godwit migrate` as a process, between machines of either kind. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { spawnMachine } from '../../src-main/manager/machines/builtin.ts';
import { qemuVersion, QemuProcess } from '../support/qemu.ts';
import { until } from '../support/machine.ts';
import { QmpClient } from '../../src-main/control/client.ts';

const CLI = fileURLToPath(new URL('../../src-main/shells/cli/main.ts', import.meta.url));
const MEMORY = 16 * 1024 ** 2;

type Kind = 'godwit' | 'qemu';
interface End {
  readonly qmp: string;
  readonly pid: number;
  /** Of the user's monitor, beside the one that the command drives. */
  ask(command: string, args?: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>>;
  readonly dispose: () => Promise<void>;
}

let home: string;
let started: End[] = [];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'gw-migrate-'));
});
afterEach(async () => {
  await Promise.all(started.map((end) => end.dispose()));
  started = [];
  rmSync(home, { recursive: true, force: true });
});

async function start(kind: Kind, incoming: boolean, memoryBytes = MEMORY): Promise<End> {
  const end = kind === 'qemu' ? await startQemu(incoming, memoryBytes) : await startGodwit(incoming, memoryBytes);
  started.push(end);
  return end;
}

async function startQemu(incoming: boolean, memoryBytes: number): Promise<End> {
  const qemu = await QemuProcess.start({ memoryBytes, incoming, secondMonitor: true });
  qemu.link.close(); // the command is to be its client
  const path = join(qemu.folder, 'qmp.sock');
  const user = await QmpClient.connect(`${path}.user`, { timeoutMs: 10_000 });
  return {
    qmp: path,
    pid: qemu.pid,
    ask: async (command, args) => (await user.execute(command, args)) as Record<string, unknown>,
    dispose: async () => {
      await user.close();
      await qemu.dispose();
    },
  };
}

async function startGodwit(incoming: boolean, memoryBytes: number): Promise<End> {
  const machine = spawnMachine({
    name: 'vm1',
    machine: 'none',
    memoryBytes,
    ...(incoming && { incoming: 'defer' }),
  });
  await machine.ready;
  const user = await QmpClient.connect(machine.userQmpPath, { timeoutMs: 10_000, waitForSocketMs: 10_000 });
  return {
    qmp: machine.qmpPath,
    pid: machine.pid,
    ask: async (command, args) => (await user.execute(command, args)) as Record<string, unknown>,
    dispose: async () => {
      await user.close();
      await machine.dispose();
    },
  };
}

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly done: Promise<Ran>;
  readonly interrupt: () => void;
}

function godwit(...args: readonly string[]): Running {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { ...process.env, GODWIT_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const done = new Promise<Ran>((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
  return { done, interrupt: () => void child.kill('SIGINT') };
}

const migrate = (...args: readonly string[]): Running => godwit('migrate', ...args);
const stateOf = async (end: End): Promise<string> => String((await end.ask('query-status'))['status']);

describe.runIf(qemuVersion() !== undefined)('godwit migrate', { timeout: 60_000 }, () => {
  const rows: readonly (readonly [Kind, Kind, string, readonly string[]])[] = [
    ['qemu', 'qemu', 'tcp', ['--profile', 'balanced']],
    ['qemu', 'qemu', 'unix', ['--profile', 'gentle']],
    ['qemu', 'qemu', 'tcp', ['--set', 'max-bandwidth=1G', '--set', 'downtime-limit=50']],
    ['qemu', 'qemu', 'unix', ['--cap', 'validate-uuid', '--cap', 'x-ignore-shared']],
    ['qemu', 'qemu', 'tcp', ['--cap', 'xbzrle', '--set', 'xbzrle-cache-size=8M']],
    ['qemu', 'qemu', 'unix', ['--cap', 'auto-converge', '--profile', 'must-finish']],
    ['godwit', 'qemu', 'tcp', ['--profile', 'balanced']],
    ['qemu', 'godwit', 'unix', ['--profile', 'balanced']],
    ['godwit', 'godwit', 'tcp', []],
  ];

  it.each(rows)('moves a running guest from %s to %s over %s with %j', async (from, to, transport, options) => {
    const [source, destination] = await Promise.all([start(from, false), start(to, true)]);
    const uri = transport === 'tcp' ? 'tcp:127.0.0.1:0' : `unix:${join(home, 'm.sock')}`;
    const ran = await migrate(
      '--from',
      `unix:${source.qmp}`,
      '--to',
      `unix:${destination.qmp}`,
      '--uri',
      uri,
      '--json',
      ...options,
    ).done;
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const told = JSON.parse(ran.stdout) as Record<string, unknown>;
    expect(told).toMatchObject({
      outcome: 'completed',
      source: { status: 'completed', runstate: 'postmigrate' },
      destination: { status: 'completed', runstate: 'running' },
    });
    expect([await stateOf(source), await stateOf(destination)]).toEqual(['postmigrate', 'running']);
    // At no moment did both run it: it was started here after the source had let go.
    const events = told['events'] as { side: string; name: string; data: { status?: string }; t: number }[];
    const completed = events.find(({ side, data }) => side === 'source' && data.status === 'completed');
    const resumed = events.find(({ side, name }) => side === 'destination' && name === 'RESUME');
    if (from === 'qemu' || to === 'qemu') expect(resumed?.t).toBeGreaterThanOrEqual(completed?.t ?? Infinity);
    const shown = await godwit('history', 'show', String(told['runId']), '--json').done;
    expect(JSON.parse(shown.stdout)).toMatchObject({
      run: { origin: 'migrate', outcome: 'completed', where: { guest: 'destination' } },
    });
  });

  it('leaves a paused guest paused', async () => {
    const [source, destination] = await Promise.all([start('qemu', false), start('qemu', true)]);
    await source.ask('stop');
    const uri = `unix:${join(home, 'm.sock')}`;
    const { code } = await migrate('--from', source.qmp, '--to', destination.qmp, '--uri', uri).done;
    expect(code).toBe(0);
    expect(await stateOf(destination)).toBe('paused');
  });

  it('takes its settings from a file', async () => {
    const [source, destination] = await Promise.all([start('godwit', false), start('godwit', true)]);
    const file = join(home, 'mine.json');
    writeFileSync(
      file,
      JSON.stringify({
        schema: 1,
        name: 'Mine',
        description: '',
        settings: { capabilities: {}, parameters: { 'downtime-limit': 77 } },
      }),
    );
    const uri = `unix:${join(home, 'm.sock')}`;
    const { code, stdout } = await migrate(
      '--from',
      source.qmp,
      '--to',
      destination.qmp,
      '--uri',
      uri,
      '--profile',
      file,
    ).done;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Moved: the guest is running at the destination, in .*, stopped for .* sent\.$/m);
    expect(stdout).toMatch(/^Recorded: godwit history show [0-9a-f]{8}$/m);
    expect((await source.ask('query-migrate-parameters'))['downtime-limit']).toBe(77);
  });

  it.each(['qemu', 'godwit'] as const)('cancels cleanly on Ctrl-C: the guest runs on at its %s', async (kind) => {
    const [source, destination] = await Promise.all([start(kind, false), start(kind, true)]);
    const uri = `unix:${join(home, 'm.sock')}`;
    const running = migrate('--from', source.qmp, '--to', destination.qmp, '--uri', uri, '--set', 'max-bandwidth=2000');
    await until(
      'the copy',
      () => source.ask('query-migrate'),
      ({ status }) => status === 'active',
    );
    running.interrupt();
    const { code, stderr } = await running.done;
    expect(code).toBe(5);
    expect(stderr).toMatch(/^godwit: cancelled\. .* is at the source and runs\.\n$/);
    expect(await stateOf(source)).toBe('running');
    const { stdout } = await godwit('history', 'list', '--json').done;
    expect(JSON.parse(stdout)).toMatchObject({ runs: [{ outcome: 'cancelled', origin: 'migrate' }] });
  });

  it('says where the guest is when the destination dies', async () => {
    const [source, destination] = await Promise.all([start('qemu', false), start('godwit', true)]);
    const uri = `unix:${join(home, 'm.sock')}`;
    const running = migrate('--from', source.qmp, '--to', destination.qmp, '--uri', uri, '--set', 'max-bandwidth=2000');
    await until(
      'the copy',
      () => source.ask('query-migrate'),
      ({ status }) => status === 'active',
    );
    process.kill(destination.pid, 'SIGKILL');
    const { code, stderr } = await running.done;
    expect(code).toBe(4);
    expect(stderr).toContain('is at the source and runs.');
  });

  it('is blocked, and touches nothing, where it cannot work', async () => {
    const [source, destination] = await Promise.all([start('godwit', false), start('qemu', true, 2 * MEMORY)]);
    const uri = 'tcp:127.0.0.1:0';
    const blocked = async (sentence: string | RegExp, ...args: string[]): Promise<void> => {
      const { code, stdout, stderr } = await migrate(...args, '--uri', uri, '--json').done;
      expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
      expect(stderr).toMatch(sentence);
    };
    await blocked(/memory/, '--from', source.qmp, '--to', destination.qmp);
    await blocked(/wrong way round/, '--from', destination.qmp, '--to', source.qmp);
    await blocked(/cannot be reached/, '--from', join(home, 'nobody'), '--to', destination.qmp);
    await source.ask('x-godwit-add-blocker', { reason: 'The tape is in the drive' });
    await blocked(/The tape is in the drive/, '--from', source.qmp, '--to', destination.qmp);
    expect(await stateOf(source)).toBe('running');
    expect(JSON.parse((await godwit('history', 'list', '--json').done).stdout)).toMatchObject({ runs: [] });
  });

  it.each([
    ['godwit', 'godwit', 'file:{}', 'file:{}'],
    ['godwit', 'qemu', 'file:{}', 'exec:cat {}'],
    ['qemu', 'godwit', 'exec:cat > {}', 'file:{}'],
    ['qemu', 'qemu', 'exec:gzip > {}', 'exec:gzip -d < {}'],
  ] as const)('saves a guest of %s and restores it in %s', async (from, to, save, restore) => {
    const file = join(home, 'saved');
    const source = await start(from, false);
    const saved = await migrate('--from', source.qmp, '--uri', save.replace('{}', file)).done;
    expect(saved).toMatchObject({ code: 0, stderr: '' });
    expect(saved.stdout).toMatch(/^Saved: the guest is in /m);
    expect(await stateOf(source)).toBe('postmigrate');
    const destination = await start(to, true);
    const restored = await migrate('--to', destination.qmp, '--uri', restore.replace('{}', file)).done;
    expect(restored).toMatchObject({ code: 0, stderr: '' });
    expect(restored.stdout).toMatch(/^Restored: the guest is running/m);
    expect(await stateOf(destination)).toBe('running');
  });

  it('says where the guest is when the command that was to keep it fails', async () => {
    const source = await start('godwit', false);
    const early = await migrate('--from', source.qmp, '--uri', 'exec:exit 7').done;
    expect(early.code).toBe(4);
    expect(early.stderr).toMatch(/The command ended with 7\. .* is at the source and runs\.\n$/);
    const late = await migrate('--from', source.qmp, '--uri', 'exec:cat > /dev/null; exit 7').done;
    expect(late.code).toBe(4);
    expect(late.stderr).toMatch(/The command ended with 7.* at the source, stopped: it can be resumed there\.\n$/);
  });

  it('moves a guest through a file in one go', async () => {
    const [source, destination] = await Promise.all([start('godwit', false), start('godwit', true)]);
    const { code } = await migrate('--from', source.qmp, '--to', destination.qmp, '--uri', `file:${join(home, 'x')}`)
      .done;
    expect(code).toBe(0);
    expect([await stateOf(source), await stateOf(destination)]).toEqual(['postmigrate', 'running']);
  });

  it.each([
    [['--uri', 'tcp:127.0.0.1:0'], /--from and --to are missing/],
    [['--from', '/a', '--uri', 'tcp:127.0.0.1:0'], /--to is missing/],
    [['--from', '/a', '--to', '/a', '--uri', 'tcp:127.0.0.1:0'], /the same machine/],
    [['--from', '/a', '--to', '/b', '--uri', 'foo'], /unknown migration protocol: foo/],
    [['--from', '/a', '--to', '/b', '--uri', 'exec:cat'], /the command of one end/],
    [['--from', 'a', '--to', '/b', '--uri', 'unix:/m'], /--from "a" is no QMP socket/],
    [['--from', '/a', '--to', '/b', '--uri', 'unix:/m', '--set', 'nope=1'], /no migration parameter/],
    [['--from', '/a', '--to', '/b', '--uri', 'unix:/m', '--set', 'downtime-limit=x'], /not a whole number/],
    [['--from', '/a', '--to', '/b', '--uri', 'unix:/m', '--set', 'downtime-limit=3000000'], /2000 \* 1000/],
    [['--from', '/a', '--to', '/b', '--uri', 'unix:/m', '--cap', 'nope'], /no migration capability/],
    [['--from', '/a', '--to', '/b', '--uri', 'unix:/m', '--cap', 'multifd', '--cap', 'xbzrle'], /not compatible/],
    [['--from', '/a', '--to', '/b', '--uri', 'unix:/m', '--profile', 'nope'], /neither a profile/],
    [['--from', '/a', '--to', '/b', '--uri', 'unix:/m', '--postcopy'], /not built yet/],
  ])('refuses %j with a sentence', async (args, sentence) => {
    const { code, stdout, stderr } = await migrate(...args).done;
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(sentence);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
