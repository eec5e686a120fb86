// SPDX-License-Identifier: Apache-2.0
// needs: kvm
/** The manager with real machines: what a user can do to them, and what is kept of it. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CallInput, CallName, CallOutput, EventEnvelope } from '../../src-shared/contract.ts';
import { DemoGuestLineReader } from '../../src-shared/demo-guest-lines.ts';
import type { MachineView } from '../../src-shared/machine-view.ts';
import type { RunView } from '../../src-shared/run.ts';
import { createManager } from '../../src-main/manager/core.ts';
import type { Manager } from '../../src-main/manager/manager.ts';

const MIB = 1024 ** 2;
const settings = {
  name: 'db1',
  memoryBytes: 64 * MIB,
  cpus: 1,
  cpuModel: 'x86-64-v2',
  workingSetBytes: 16 * MIB,
  dirtyRate: 2000,
  lifetime: 'attached',
} as const;
const noOverrides = { capabilities: {}, parameters: {} };

let folder: string;
let manager: Manager;
let heard: EventEnvelope[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-manager-'));
  manager = await openManager();
});
afterEach(async () => {
  await manager.close();
  rmSync(folder, { recursive: true, force: true });
});

async function openManager(): Promise<Manager> {
  const opened = await createManager({ version: '0.0.0', vehicle: 'served', storePath: join(folder, 'godwit.db') });
  heard = [];
  opened.onEvent((event) => heard.push(event));
  return opened;
}

async function call<Name extends CallName>(name: Name, input: CallInput<Name>): Promise<CallOutput<Name>> {
  return (await manager.call(name, input)) as CallOutput<Name>;
}

/** The first event, of those heard and to come, that is accepted. */
function until<T>(accept: (event: EventEnvelope) => T | undefined, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what} did not come`)), 30_000);
    const take = (event: EventEnvelope): boolean => {
      const found = accept(event);
      if (found === undefined) return false;
      clearTimeout(timer);
      resolve(found);
      return true;
    };
    if (heard.some(take)) return;
    const off = manager.onEvent((event) => {
      if (take(event)) off();
    });
  });
}

const inState = (id: string, state: MachineView['state']): Promise<MachineView> =>
  until(
    (event) =>
      event.name === 'machine.changed' && event.data.id === id && event.data.state === state ? event.data : undefined,
    `state ${state}`,
  );

const ended = (runId: string): Promise<RunView> =>
  until(
    (event) =>
      event.name === 'run.changed' && event.data.id === runId && event.data.outcome !== 'active'
        ? event.data
        : undefined,
    'the end of the run',
  );

async function running(): Promise<MachineView> {
  const { id } = await call('machines.create', { settings, receiver: false });
  await call('machines.start', { id });
  return await inState(id, 'running');
}

/** So slow that it cannot finish by itself. */
const slow = { capabilities: {}, parameters: { 'max-bandwidth': MIB, 'downtime-limit': 1 } };

/** A move of a new machine to a new process that goes on for ever. */
async function slowRun(): Promise<{ machine: MachineView; runId: string; active: RunView }> {
  const machine = await running();
  const { runId } = await call('migration.start', {
    machineId: machine.id,
    destination: { kind: 'new-process' },
    profileId: 'balanced',
    overrides: slow,
    acceptedRisks: [],
  });
  const active = await until(
    (event) => (event.name === 'run.changed' && event.data.status === 'active' ? event.data : undefined),
    'status active',
  );
  return { machine, runId, active };
}

describe('a manager that starts for the first time', () => {
  it('has one demo machine running, which moves to a new process with the defaults', { timeout: 60_000 }, async () => {
    const { machines } = await call('machines.list', {});
    expect(machines.map((machine) => machine.settings.name)).toEqual(['demo']);
    const id = machines[0]?.id ?? '';
    const before = await inState(id, 'running');
    const request = {
      machineId: id,
      destination: { kind: 'new-process' },
      profileId: 'balanced',
      overrides: noOverrides,
    } as const;
    expect(await call('migration.preflight', request)).toMatchObject({ canStart: true });
    heard.length = 0;
    const { runId } = await call('migration.start', { ...request, acceptedRisks: [] });
    const run = await ended(runId);
    expect(run).toMatchObject({ outcome: 'completed', error: null, phase: 'demo has moved.' });
    expect(run.where).toMatchObject({ guest: 'destination', runs: true });
    expect(run.downtimeMs).toBeGreaterThan(0);
    expect(run.guestPauseMs).toBeGreaterThan(0);
    expect(run.steps.map(({ id: step }) => step)).toEqual(
      expect.arrayContaining(['check', 'setup', 'pass', 'switchover', 'verify', 'cleanup']),
    );
    const after = await until(
      (event) =>
        event.name === 'machine.changed' &&
        event.data.id === id &&
        event.data.pid !== before.pid &&
        event.data.state === 'running'
          ? event.data
          : undefined,
      'the machine in its new process',
    );
    expect(after.pid).not.toBe(before.pid);
    expect(after.lastRun).toMatchObject({ id: runId, outcome: 'completed' });
    expect(() => process.kill(before.pid ?? 0, 0)).toThrow('ESRCH');

    const { runs } = await call('runs.list', { limit: 10 });
    expect(runs).toMatchObject([{ id: runId, outcome: 'completed', machineName: 'demo', origin: 'app' }]);
    const { samples, total } = await call('runs.samples', { runId, from: 0, limit: 1000 });
    expect(samples).toHaveLength(total);
    expect(samples.at(-1)).toMatchObject({ status: 'completed' });
    const { events } = await call('runs.events', { runId, from: 0, limit: 1000 });
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    expect(events.map(({ side }) => side)).toEqual(expect.arrayContaining(['source', 'destination', 'godwit']));
  });
});

describe('a run', () => {
  it('is cancelled: the guest runs on at the source, and the receiver is gone', { timeout: 60_000 }, async () => {
    const { machine, runId } = await slowRun();
    expect((await call('runs.where', { runId })).guest).toBe('source');
    await call('migration.cancel', { runId });
    const run = await ended(runId);
    expect(run).toMatchObject({ outcome: 'cancelled', error: null, where: { guest: 'source', runs: true } });
    expect(run.controls.cancel).toMatchObject({ enabled: false });
    await expect(call('migration.cancel', { runId })).rejects.toMatchObject({
      code: 'refused',
      message: 'This run has ended.',
    });
    heard.length = 0;
    expect((await call('machines.list', {})).machines.find(({ id }) => id === machine.id)).toMatchObject({
      pid: machine.pid,
      state: 'running',
    });
  });

  it('takes new limits while it is under way, and finishes by them', { timeout: 60_000 }, async () => {
    const { runId } = await slowRun();
    await call('migration.setLimits', { runId, maxBandwidth: 0, downtimeLimitMs: 300 });
    expect(await ended(runId)).toMatchObject({ outcome: 'completed' });
    const { events } = await call('runs.events', { runId, from: 0, limit: 1000 });
    expect(events.find(({ name }) => name === 'limit')?.text).toBe(
      'downtime-limit 1 → 300 ms, max-bandwidth 1 MiB/s → unlimited',
    );
  });

  it('whose destination dies leaves the guest running at the source and says so', { timeout: 60_000 }, async () => {
    const { runId, active } = await slowRun();
    process.kill(active.where.destination.pid ?? 0, 'SIGKILL');
    const run = await ended(runId);
    expect(run).toMatchObject({ outcome: 'failed', where: { guest: 'source', runs: true } });
    expect(run.error).toMatch(/db1 is at the source and runs\.$/);
  });

  it('moves into a waiting machine, and the source has left', { timeout: 60_000 }, async () => {
    const machine = await running();
    const receiver = await call('machines.create', { settings: { ...settings, name: 'rx' }, receiver: true });
    await inState(receiver.id, 'waiting');
    const { runId } = await call('migration.start', {
      machineId: machine.id,
      destination: { kind: 'waiting', machineId: receiver.id },
      profileId: 'balanced',
      overrides: noOverrides,
      acceptedRisks: [],
    });
    heard.length = 0;
    expect(await ended(runId)).toMatchObject({ outcome: 'completed', destinationLabel: 'rx' });
    const { machines } = await call('machines.list', {});
    const state = (id: string) => machines.find((candidate) => candidate.id === id)?.state;
    expect([state(machine.id), state(receiver.id)]).toEqual(['left', 'running']);
  });

  it('asked for twice at once is started once, also into one waiting machine', { timeout: 60_000 }, async () => {
    const [one, two] = [await running(), await running()];
    const receiver = await call('machines.create', { settings: { ...settings, name: 'rx' }, receiver: true });
    await inState(receiver.id, 'waiting');
    const start = (machineId: string, destination: CallInput<'migration.start'>['destination']) =>
      call('migration.start', {
        machineId,
        destination,
        profileId: 'balanced',
        overrides: slow,
        acceptedRisks: [],
      });
    const into = { kind: 'waiting', machineId: receiver.id } as const;
    const outcomes = await Promise.allSettled([start(one.id, into), start(one.id, into), start(two.id, into)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(outcomes[1]).toMatchObject({
      reason: { code: 'refused', message: expect.stringMatching(/^A run of db1 is being started/) as string },
    });
    await expect(start(two.id, into)).rejects.toMatchObject({ code: 'refused' });
    const fresh = { kind: 'new-process' } as const;
    const twice = await Promise.allSettled([start(two.id, fresh), start(two.id, fresh)]);
    expect(twice.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });

  it.each([['new-process'], ['file']] as const)(
    'that is cancelled before it has really begun is cancelled (%s)',
    { timeout: 60_000 },
    async (kind) => {
      const machine = await running();
      const { runId } = await call('migration.start', {
        machineId: machine.id,
        destination: kind === 'file' ? { kind, path: join(folder, 'early.state') } : { kind },
        profileId: 'balanced',
        overrides: slow,
        acceptedRisks: [],
      });
      await call('migration.cancel', { runId });
      expect(await ended(runId)).toMatchObject({ outcome: 'cancelled', where: { guest: 'source', runs: true } });
    },
  );

  it('whose source hangs does not keep the app from closing, and its machine ends', { timeout: 60_000 }, async () => {
    const { machine } = await slowRun();
    const pid = machine.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    const began = performance.now();
    await manager.close();
    expect(performance.now() - began).toBeLessThan(25_000);
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    manager = await openManager();
    expect((await call('machines.list', {})).machines.map(({ state }) => state)).not.toContain('running');
  });

  it('that cannot work is not started, and says why', { timeout: 60_000 }, async () => {
    const machine = await running();
    const receiver = await call('machines.create', { settings: { ...settings, name: 'rx', cpus: 2 }, receiver: true });
    await inState(receiver.id, 'waiting');
    const start = (change: object) =>
      call('migration.start', {
        machineId: machine.id,
        destination: { kind: 'waiting', machineId: receiver.id },
        profileId: 'balanced',
        overrides: noOverrides,
        acceptedRisks: [],
        ...change,
      });
    await expect(start({})).rejects.toThrow('The receiver has 2 vCPUs, db1 has 1.');
    const nowhere = join(folder, 'missing', 'vm');
    await expect(start({ destination: { kind: 'file', path: nowhere } })).rejects.toThrow(
      `There is no folder ${join(folder, 'missing')}.`,
    );
    await expect(start({ destination: { kind: 'file', path: 'vm' } })).rejects.toThrow('vm is no whole path.');
    const postcopy = { capabilities: { 'x-colo': true }, parameters: {} };
    await expect(start({ destination: { kind: 'new-process' }, overrides: postcopy })).rejects.toThrow(/x-colo/);
    await expect(start({ destination: { kind: 'new-process' }, profileId: 'must-finish' })).rejects.toThrow(
      /Not accepted/,
    );
    await expect(call('migration.start', { machineId: 'x' } as never)).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('a guest in a file', () => {
  const save = (machineId: string, path: string, overrides: CallInput<'migration.start'>['overrides'] = noOverrides) =>
    call('migration.start', {
      machineId,
      destination: { kind: 'file', path },
      profileId: 'balanced',
      overrides,
      acceptedRisks: [],
    });
  /** What its vCPU has rewritten so far; the guest says so ten times a second. */
  const generation = async (id: string): Promise<bigint> => {
    for (;;) {
      const { data } = await call('machines.serial', { id, offset: 0 });
      const lines = new DemoGuestLineReader().push(Buffer.from(data, 'base64').toString('latin1'));
      expect(lines.filter(({ kind }) => kind === 'corrupt')).toEqual([]);
      const last = lines.findLast((line) => line.kind === 'progress');
      if (last?.kind === 'progress') return last.generation;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };

  it('is saved, restored where it was, and goes on from there', { timeout: 60_000 }, async () => {
    const machine = await running();
    const path = join(folder, 'db1.state');
    const before = await generation(machine.id);
    const { runId } = await save(machine.id, path);
    expect(await ended(runId)).toMatchObject({
      outcome: 'completed',
      phase: `db1 is saved in ${path}.`,
      destinationLabel: 'db1.state',
      where: { guest: 'file', runs: false },
    });
    expect(await inState(machine.id, 'saved')).toMatchObject({ savedTo: path, pid: null });
    expect(() => process.kill(machine.pid ?? 0, 0)).toThrow('ESRCH');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    // Another life of the app still knows it.
    await manager.close();
    manager = await openManager();
    const { machines } = await call('machines.list', {});
    expect(machines.find(({ id }) => id === machine.id)).toMatchObject({ state: 'saved', savedTo: path });
    await call('machines.start', { id: machine.id });
    expect(await inState(machine.id, 'running')).toMatchObject({ savedTo: null });
    expect(await generation(machine.id)).toBeGreaterThan(before);
    expect(existsSync(path)).toBe(true);
  });

  it('goes on at the source when the save is cancelled', { timeout: 60_000 }, async () => {
    const machine = await running();
    const path = join(folder, 'cancelled.state');
    const { runId } = await save(machine.id, path, slow);
    await until(
      (event) => (event.name === 'run.changed' && event.data.status === 'active' ? true : undefined),
      'status active',
    );
    await call('migration.cancel', { runId });
    expect(await ended(runId)).toMatchObject({ outcome: 'cancelled', where: { guest: 'source', runs: true } });
    expect(await call('machines.list', {})).toMatchObject({
      machines: expect.arrayContaining([
        expect.objectContaining({ id: machine.id, state: 'running', savedTo: null, pid: machine.pid }),
      ]) as unknown,
    });
  });

  it(
    'is started from any file that fits, and what does not fit is refused by its reason',
    { timeout: 60_000 },
    async () => {
      const machine = await running();
      const path = join(folder, 'db1.state');
      await ended((await save(machine.id, path)).runId);
      const other = await call('machines.create', { settings: { ...settings, name: 'twin' }, receiver: false });
      const start = (id: string, from: CallInput<'machines.start'>['from']) => call('machines.start', { id, from });
      await expect(start(other.id, { file: join(folder, 'missing') })).rejects.toThrow(/cannot be read: ENOENT/);
      const text = join(folder, 'text');
      writeFileSync(text, 'no machine');
      await expect(start(other.id, { file: text })).rejects.toThrow(`${text} holds no saved machine.`);
      const half = join(folder, 'half.state');
      writeFileSync(half, readFileSync(path).subarray(0, 10_000));
      await expect(start(other.id, { file: half })).rejects.toThrow(/was not loaded: .*The file is as it was\./);
      const larger = await call('machines.create', {
        settings: { ...settings, name: 'larger', memoryBytes: 128 * MIB },
        receiver: false,
      });
      await expect(start(larger.id, { file: path })).rejects.toThrow(/was not loaded: .*Size mismatch/);
      await start(other.id, { file: path });
      await inState(other.id, 'running');
      // The machine itself begins anew, and its file stays.
      await start(machine.id, 'new');
      expect(await inState(machine.id, 'running')).toMatchObject({ savedTo: null });
      expect(existsSync(path)).toBe(true);
    },
  );
});

describe('a machine', () => {
  it('is paused, resumed, stopped and started again', { timeout: 60_000 }, async () => {
    const { id } = await running();
    await call('machines.pause', { id });
    expect((await inState(id, 'paused')).runState).toBe('paused');
    await expect(call('machines.pause', { id })).rejects.toMatchObject({ code: 'refused' });
    heard.length = 0;
    await call('machines.resume', { id });
    await inState(id, 'running');
    await call('machines.stop', { id });
    expect(await inState(id, 'stopped')).toMatchObject({ pid: null, lastWords: null });
    heard.length = 0;
    await call('machines.start', { id });
    await inState(id, 'running');
    const { data } = await call('machines.serial', { id, offset: 0 });
    expect(typeof data).toBe('string');
  });

  it('that dies is reported with its last words', { timeout: 60_000 }, async () => {
    const { id, pid } = await running();
    process.kill(pid ?? 0, 'SIGKILL');
    expect((await inState(id, 'crashed')).lastWords).toBe('killed by SIGKILL');
    const notice = await until((event) => (event.name === 'notice' ? event.data : undefined), 'a notice');
    expect(notice).toEqual({ level: 'error', text: 'db1 has ended: killed by SIGKILL' });
  });

  it('that is still starting when the manager is closed leaves no process behind', { timeout: 60_000 }, async () => {
    const { id } = await call('machines.create', { settings, receiver: false });
    const starting = call('machines.start', { id }).catch((error: unknown) => error);
    await inState(id, 'starting');
    await manager.close();
    expect(await starting).toMatchObject({ code: 'failed', message: 'Godwit is ending.' });
    manager = await openManager();
  });

  it('that was deleted comes back with its guest', { timeout: 60_000 }, async () => {
    const { id, pid } = await running();
    await call('machines.delete', { id });
    expect((await call('machines.list', {})).machines.map((machine) => machine.id)).not.toContain(id);
    expect(await call('machines.undoDelete', { id })).toMatchObject({ id, pid, state: 'running' });
  });

  it('that is detached is found again by the next manager, with its guest running', { timeout: 60_000 }, async () => {
    const { id } = await call('machines.create', { settings: { ...settings, lifetime: 'detached' }, receiver: false });
    await call('machines.start', { id });
    const before = await inState(id, 'running');
    await manager.close();
    manager = await openManager();
    const { machines } = await call('machines.list', {});
    expect(machines.find((machine) => machine.id === id)).toMatchObject({ pid: before.pid, state: 'running' });
    await call('machines.stop', { id });
    expect(() => process.kill(before.pid ?? 0, 0)).toThrow('ESRCH');
  });
});
