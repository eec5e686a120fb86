// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { canMove, machineState, type MachineFacts } from '../../../src-main/manager/machines/machine-state.ts';
import { timeline, type Mark } from '../../../src-main/manager/migrations/timeline.ts';
import type { FileFacts } from '../../../src-main/manager/migrations/file-facts.ts';
import { preflightItems, type PreflightFacts } from '../../../src-main/manager/preflight.ts';
import { controlsFor, CONTROLS } from '../../../src-shared/migration/controls.ts';
import { MIGRATION_STATUSES } from '../../../src-shared/migration/status.ts';

const marks: readonly Mark[] = [
  { id: 'check', t: 0, bytes: 0 },
  { id: 'setup', t: 100, bytes: 0 },
  { id: 'pass', t: 200, bytes: 0, pass: 1 },
  { id: 'pass', t: 1200, bytes: 500, pass: 2 },
  { id: 'pass', t: 1400, bytes: 600, pass: 3 },
  { id: 'pass', t: 1500, bytes: 650, pass: 4 },
];

describe('the timeline', () => {
  it('names what is done, what is under way and what is to come', () => {
    const steps = timeline(marks, null);
    expect(steps.map(({ id, state, passes }) => [id, state, passes])).toEqual([
      ['check', 'done', null],
      ['setup', 'done', null],
      ['pass', 'done', [1, 1]],
      ['pass', 'done', [2, 3]],
      ['pass', 'active', [4, 4]],
      ['switchover', 'pending', null],
      ['verify', 'pending', null],
      ['cleanup', 'pending', null],
    ]);
    expect(steps[2]).toMatchObject({ startMs: 200, endMs: 1200, bytes: 500 });
    expect(steps[3]).toMatchObject({ startMs: 1200, endMs: 1500, bytes: 150 });
  });

  it('of a run that failed says where, and what was not reached', () => {
    const steps = timeline(marks.slice(0, 3), { t: 900, bytes: 300, completed: false });
    expect(steps.map(({ id, state }) => [id, state])).toEqual([
      ['check', 'done'],
      ['setup', 'done'],
      ['pass', 'failed'],
      ['switchover', 'skipped'],
      ['verify', 'skipped'],
      ['cleanup', 'skipped'],
    ]);
  });
});

describe('the controls', () => {
  it('have a state for every control in every status, with a reason where it is off', () => {
    for (const status of MIGRATION_STATUSES) {
      const row = controlsFor(status, { postcopyArmed: true });
      expect(Object.keys(row).sort()).toEqual([...CONTROLS].sort());
      for (const state of Object.values(row)) if (!state.enabled) expect(state.reason).toMatch(/\.$/);
    }
  });

  it('never offer to cancel what a cancel would lose', () => {
    const cancellable = MIGRATION_STATUSES.filter(
      (status) => controlsFor(status, { postcopyArmed: true }).cancel.enabled,
    );
    expect(cancellable).toEqual(['setup', 'active', 'pre-switchover', 'device', 'wait-unplug']);
  });
});

const facts: MachineFacts = {
  process: 'live',
  died: false,
  saved: false,
  runState: 'running',
  silent: false,
  role: null,
  blockedReasons: [],
};

describe('the state of a machine', () => {
  it.each<[Partial<MachineFacts>, string]>([
    [{}, 'running'],
    [{ runState: 'paused' }, 'paused'],
    [{ runState: 'inmigrate' }, 'waiting'],
    [{ runState: 'postmigrate' }, 'left'],
    [{ runState: 'internal-error' }, 'crashed'],
    [{ role: 'source' }, 'moving'],
    [{ role: 'destination', runState: 'inmigrate' }, 'incoming'],
    [{ silent: true, role: 'source' }, 'no-contact'],
    [{ process: 'none' }, 'stopped'],
    [{ process: 'none', died: true }, 'crashed'],
    [{ process: 'none', saved: true }, 'saved'],
    [{ process: 'none', saved: true, died: true }, 'saved'],
    [{ saved: true }, 'running'],
    [{ process: 'starting' }, 'starting'],
  ])('%o is %s', (change, state) => expect(machineState({ ...facts, ...change })).toBe(state));

  it('says why it cannot move', () => {
    expect(canMove({ ...facts, blockedReasons: ['a device holds it'] })).toEqual({
      verdict: 'no',
      reasons: ['a device holds it'],
    });
    expect(canMove({ ...facts, process: 'none' })).toEqual({
      verdict: 'no',
      reasons: ['It is stopped: start it first.'],
    });
  });
});

describe('the pre-flight', () => {
  const MIB = 1024 ** 2;
  const settings = {
    name: 'db1',
    memoryBytes: 64 * MIB,
    cpus: 2,
    cpuModel: 'x86-64-v2',
    workingSetBytes: 16 * MIB,
    dirtyRate: 0,
    lifetime: 'attached',
  } as const;
  const good: PreflightFacts = {
    machine: { settings, state: 'running', canMove: { verdict: 'yes', reasons: [] } },
    destination: { kind: 'new-process' },
    receiver: null,
    file: null,
    settings: { capabilities: {}, parameters: {} },
    memoryAvailableBytes: 1024 * MIB,
  };
  const toFile = (change: Partial<FileFacts>): Partial<PreflightFacts> => ({
    destination: { kind: 'file', path: '/srv/vm' },
    file: {
      path: '/srv/vm',
      isAbsolute: true,
      folder: '/srv',
      folderState: 'writable',
      there: 'nothing',
      freeBytes: 1024 * MIB,
      ...change,
    },
  });
  const ids = (change: Partial<PreflightFacts>, severity: string): string[] =>
    preflightItems({ ...good, ...change })
      .filter((item) => item.severity === severity)
      .map(({ id }) => id);

  it('lets a machine go that has nothing against it', () => {
    expect(ids({}, 'blocker')).toEqual([]);
    expect(ids({}, 'risk')).toEqual([]);
    expect(ids({}, 'passed').length).toBeGreaterThan(3);
  });

  it.each<[string, Partial<PreflightFacts>, string]>([
    [
      'a machine that cannot move',
      { machine: { ...good.machine, canMove: { verdict: 'no', reasons: ['x'] } } },
      'guest-blocked-0',
    ],
    ['a run under way', { machine: { ...good.machine, canMove: { verdict: 'moving', reasons: [] } } }, 'guest-moving'],
    ['too little memory', { memoryAvailableBytes: MIB }, 'memory'],
    ['a file without its whole path', toFile({ path: 'vm', isAbsolute: false }), 'file'],
    ['a file in a folder that is not there', toFile({ folderState: 'missing' }), 'file'],
    ['a file in a folder of others', toFile({ folderState: 'not-writable' }), 'file'],
    ['a file of others', toFile({ there: 'not-writable' }), 'file'],
    ['a folder instead of a file', toFile({ there: 'other' }), 'file'],
    [
      'a capability without its mechanism',
      { settings: { capabilities: { 'x-colo': true }, parameters: {} } },
      'capability-missing:x-colo',
    ],
    [
      'capabilities that exclude each other',
      { settings: { capabilities: { multifd: true, compress: true }, parameters: {} } },
      'capability-conflict',
    ],
    [
      'a parameter out of range',
      { settings: { capabilities: {}, parameters: { 'downtime-limit': 3_000_000 } } },
      'parameter-range',
    ],
    ['a receiver that is gone', { destination: { kind: 'waiting', machineId: 'x' } }, 'receiver-gone'],
    [
      'a receiver of another size',
      {
        destination: { kind: 'waiting', machineId: 'x' },
        receiver: { settings: { ...settings, memoryBytes: 32 * MIB }, state: 'waiting' },
      },
      'receiver-memory',
    ],
    [
      'a receiver that runs',
      { destination: { kind: 'waiting', machineId: 'x' }, receiver: { settings, state: 'running' } },
      'receiver-state',
    ],
  ])('stops %s', (_, change, id) => expect(ids(change, 'blocker')).toContain(id));

  it('lets a machine be saved to a new file, and asks for a tick where a file is replaced or the disk may fill up', () => {
    expect(ids(toFile({}), 'blocker')).toEqual([]);
    expect(ids(toFile({}), 'risk')).toEqual([]);
    expect(ids(toFile({ folderState: 'not-writable', there: 'file' }), 'blocker')).toEqual([]);
    expect(ids(toFile({ there: 'file' }), 'risk')).toEqual(['file-replaced']);
    expect(ids(toFile({ freeBytes: MIB }), 'risk')).toEqual(['file-room']);
  });

  it('asks for a tick where the guest may stop for long', () => {
    expect(ids({ settings: { capabilities: {}, parameters: { 'downtime-limit': 2000 } } }, 'risk')).toEqual([
      'long-pause',
    ]);
  });
});
