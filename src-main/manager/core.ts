// SPDX-License-Identifier: Apache-2.0
/** The manager: store, machines and migrations behind the calls of the contract. */
import { hostname } from 'node:os';
import type { z } from 'zod';
import { CallError } from '../../src-shared/call-error.ts';
import { calls, CONTRACT_VERSION, isCallName, type CallName, type SystemCheck } from '../../src-shared/contract.ts';
import type { MachineSettings } from '../../src-shared/machine-view.ts';
import { SHIPPED_PROFILES } from '../../src-shared/profile.ts';
import { recordedRunView } from '../../src-shared/recorded-view.ts';
import { RUN_OUTCOMES, type RunOutcome } from '../../src-shared/run.ts';
import { EventLog } from './event-log.ts';
import type { StartAttached } from './machines/attached-process.ts';
import { MachineRegistry } from './machines/registry.ts';
import { readSerial } from './machines/serial-output.ts';
import type { Manager } from './manager.ts';
import { Migrations } from './migrations/migrations.ts';
import { openStore, StoreError, type Store } from './store/store.ts';

const MIB = 1024 ** 2;

/** What the first start finds ready: three clicks from here to a finished migration. */
const DEMO_MACHINE: MachineSettings = {
  name: 'demo',
  memoryBytes: 256 * MIB,
  cpus: 2,
  cpuModel: 'x86-64-v2',
  workingSetBytes: 128 * MIB,
  dirtyRate: 20_000,
  lifetime: 'attached',
};

const DAY_MS = 86_400_000;

export interface ManagerOptions {
  readonly version: string;
  readonly vehicle: 'served' | 'desktop';
  /** The store's file; by default in the data folder. */
  readonly storePath?: string;
  /** How the processes of attached machines are run; by default as children of this one. */
  readonly startAttached?: StartAttached;
}

type Handlers = {
  readonly [Name in CallName]: (
    input: z.output<(typeof calls)[Name]['input']>,
  ) => Promise<z.input<(typeof calls)[Name]['output']>>;
};

/** Opens the store, finds detached machines again, and starts the demo machine of a first start. */
export async function createManager(options: ManagerOptions): Promise<Manager> {
  const events = new EventLog();
  const store = await openStore(options.storePath === undefined ? {} : { path: options.storePath });
  const { startAttached } = options;
  const machines = new MachineRegistry({ store, events, ...(startAttached !== undefined && { startAttached }) });
  const migrations = new Migrations({ store, events, machines });
  for (const text of store.notices) events.emit('notice', { level: 'warning', text });
  store.onProblem((problem) => {
    if (problem !== null) events.emit('notice', { level: 'warning', text: problem });
  });
  for (const text of await machines.load()) events.emit('notice', { level: 'warning', text });
  await forgetOldRuns(store);
  const handlers = handlersOf(options, { store, events, machines, migrations });
  if (machines.list().length === 0 && (await store.listMachines({ deleted: true })).length === 0) {
    const { id } = await machines.create(DEMO_MACHINE, false);
    // The list is there at once; that the machine cannot start shows on it.
    void machines.start(id).catch(() => undefined);
  }
  let closed: Promise<void> | undefined;
  return {
    epoch: events.epoch,
    get seq() {
      return events.seq;
    },
    call: (name, input) => call(handlers, name, input),
    replay: (seq) => events.replay(seq),
    onEvent: (listener) => events.onEvent(listener),
    close: () => {
      closed ??= (async () => {
        await migrations.close();
        await machines.close();
        await store.close();
      })();
      return closed;
    },
  };
}

interface Parts {
  readonly store: Store;
  readonly events: EventLog;
  readonly machines: MachineRegistry;
  readonly migrations: Migrations;
}

async function call(handlers: Handlers, name: string, input: unknown): Promise<unknown> {
  if (!isCallName(name)) throw new CallError('invalid', 'There is no such call.');
  return await perform(handlers, name, input);
}

async function perform(handlers: Handlers, name: CallName, input: unknown): Promise<unknown> {
  const checked = calls[name].input.safeParse(input);
  if (!checked.success) throw new CallError('invalid', firstIssue(checked.error));
  try {
    const handler = handlers[name] as (input: unknown) => Promise<unknown>;
    return calls[name].output.parse(await handler(checked.data));
  } catch (error) {
    throw asCallError(error);
  }
}

function firstIssue(error: z.ZodError): string {
  const [issue] = error.issues;
  if (issue === undefined) return 'The input does not fit.';
  const where = issue.path.map(String).join('.');
  return where === '' ? issue.message : `${where}: ${issue.message}`;
}

function asCallError(error: unknown): CallError {
  if (error instanceof CallError) return error;
  if (error instanceof StoreError) {
    return new CallError(error.code === 'NOT_FOUND' ? 'not-found' : 'unavailable', error.message, { cause: error });
  }
  return new CallError('failed', error instanceof Error ? error.message : String(error), { cause: error });
}

function handlersOf(options: ManagerOptions, { store, events, machines, migrations }: Parts): Handlers {
  const done = async (work: Promise<unknown>): Promise<Record<string, never>> => {
    await work;
    return {};
  };
  return {
    'app.info': async () => ({
      version: options.version,
      contract: CONTRACT_VERSION,
      host: hostname(),
      vehicle: options.vehicle,
      dataFolder: store.path,
      pid: process.pid,
      storeProblem: store.problem,
    }),
    'system.check': async () => ({ checks: await systemCheck() }),

    'machines.list': async () => ({ machines: machines.list() }),
    'machines.create': ({ settings, receiver }) => machines.create(settings, receiver),
    'machines.start': ({ id, from }) => done(machines.start(id, from)),
    'machines.stop': ({ id }) => done(machines.stop(id)),
    'machines.pause': ({ id }) => done(machines.pause(id)),
    'machines.resume': ({ id }) => done(machines.resume(id)),
    'machines.delete': ({ id }) => machines.delete(id),
    'machines.undoDelete': ({ id }) => machines.undoDelete(id),
    'machines.serial': async ({ id, offset }) => {
      const { live } = machines.entry(id);
      return live === undefined ? { start: 0, end: 0, data: '' } : await readSerial(live.process.serialPath, offset);
    },

    'profiles.list': async () => ({
      profiles: [
        ...SHIPPED_PROFILES.map(({ id, ...profile }) => ({ id, shipped: true, profile })),
        ...(await store.listProfiles()).map((saved) => ({ ...saved, shipped: false })),
      ],
    }),

    'migration.preflight': (request) => migrations.preflight(request),
    'migration.start': async (request) => ({ runId: await migrations.start(request) }),
    'migration.cancel': ({ runId }) => done(migrations.active(runId).cancel()),
    'migration.continue': ({ runId }) => done(migrations.active(runId).continue()),
    'migration.pause': ({ runId }) => done(migrations.active(runId).pause()),
    'migration.recover': ({ runId }) => done(migrations.active(runId).recover()),
    'migration.startPostcopy': ({ runId }) => done(migrations.active(runId).startPostcopy()),
    'migration.setLimits': ({ runId, maxBandwidth, downtimeLimitMs }) =>
      done(
        migrations.active(runId).setLimits({
          ...(maxBandwidth !== undefined && { maxBandwidth }),
          ...(downtimeLimitMs !== undefined && { downtimeLimitMs }),
        }),
      ),

    'runs.active': async () => ({ runs: migrations.views() }),
    'runs.list': async ({ limit, before, search, outcome }) => {
      const { runs, total } = await store.listRuns({
        limit,
        ...(before !== undefined && { before }),
        ...(search !== undefined && search !== '' && { search }),
        ...(outcome !== undefined && { outcome: outcomeOf(outcome) }),
      });
      return { runs: [...runs], total };
    },
    'runs.get': async ({ runId }) => migrations.view(runId) ?? recordedRunView(await store.getRun(runId)),
    'runs.samples': async ({ runId, from, limit }) => ({
      samples: [...(await store.readSamples(runId, { from, limit }))],
      total: await store.countSamples(runId),
    }),
    'runs.events': async ({ runId, from, limit }) => ({
      events: [...(await store.readEvents(runId, { from, limit }))],
      total: await store.countEvents(runId),
    }),
    'runs.delete': async ({ runId }) => {
      if (migrations.view(runId) !== undefined) {
        throw new CallError('refused', 'This run is under way: cancel it first.');
      }
      return await done(store.deleteRun(runId));
    },
    'runs.where': async ({ runId }) => (await migrations.where(runId)) ?? (await store.getRun(runId)).where,

    'settings.get': () => store.getSettings(),
    'settings.set': async (change) => {
      const now = await store.setSettings(definedOnly(change));
      events.emit('settings.changed', now);
      return now;
    },
  };
}

function outcomeOf(text: string): RunOutcome {
  const outcome = RUN_OUTCOMES.find((candidate) => candidate === text);
  if (outcome === undefined) throw new CallError('invalid', `outcome: there is no outcome ${JSON.stringify(text)}`);
  return outcome;
}

/** Members that are given, and none that is `undefined`. */
function definedOnly<T extends object>(value: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}

async function systemCheck(): Promise<SystemCheck[]> {
  // Loaded when it is asked for: a start must not wait for it.
  const [{ systemChecks }, { gatherSystemFacts }] = await Promise.all([
    import('./system/checks.ts'),
    import('./system/facts.ts'),
  ]);
  const states = { ok: 'ok', warn: 'warning', fail: 'problem' } as const;
  return systemChecks(await gatherSystemFacts()).map(({ id, title, status, summary, remedy }) => ({
    id,
    title,
    state: states[status],
    detail: summary,
    remedy: remedy ?? null,
  }));
}

async function forgetOldRuns(store: Store): Promise<void> {
  const { keepRunsDays } = await store.getSettings();
  if (keepRunsDays === 0) return;
  await store.deleteRunsEndedBefore(new Date(Date.now() - keepRunsDays * DAY_MS).toISOString()).catch(() => undefined);
}
