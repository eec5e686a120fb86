// SPDX-License-Identifier: Apache-2.0
/** Migrations: the ones under way, and how one is started. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallError } from '../../../src-shared/call-error.ts';
import type { MigrationRequest, Preflight } from '../../../src-shared/contract.ts';
import { SHIPPED_PROFILES, type MigrationSettings } from '../../../src-shared/profile.ts';
import type { RunView, Whereabouts } from '../../../src-shared/run.ts';
import { deadlines } from '../deadlines.ts';
import type { EventLog } from '../event-log.ts';
import type { LiveMachine } from '../machines/live-machine.ts';
import { viewOf, type MachineEntry } from '../machines/machine-entry.ts';
import type { MachineRegistry } from '../machines/registry.ts';
import { preflightItems } from '../preflight.ts';
import { recordRun } from '../recording/recorder.ts';
import type { Store } from '../store/store.ts';
import { memAvailableBytes } from '../system/facts.ts';
import { fileFacts } from './file-facts.ts';
import { ActiveRun, type ActiveRunHooks, type ActiveRunPlan } from './active-run.ts';
import { MoveRoute } from './move-route.ts';
import { SaveRoute } from './save-route.ts';

export interface MigrationsOptions {
  readonly store: Store;
  readonly events: EventLog;
  readonly machines: MachineRegistry;
}

export class Migrations {
  readonly #store: Store;
  readonly #events: EventLog;
  readonly #machines: MachineRegistry;
  readonly #active = new Map<string, ActiveRun>();
  /** Machines whose run is being prepared: from the request on, so that two requests at once do not both start. */
  readonly #preparing = new Set<string>();

  constructor({ store, events, machines }: MigrationsOptions) {
    this.#store = store;
    this.#events = events;
    this.#machines = machines;
  }

  views(): RunView[] {
    return [...this.#active.values()].map((run) => run.view());
  }

  view(id: string): RunView | undefined {
    return this.#active.get(id)?.view();
  }

  /** The run under way; a CallError where it has ended. */
  active(id: string): ActiveRun {
    const run = this.#active.get(id);
    if (run === undefined) throw new CallError('refused', 'This run has ended.');
    return run;
  }

  async where(id: string): Promise<Whereabouts | undefined> {
    return await this.#active.get(id)?.where();
  }

  async preflight(request: MigrationRequest): Promise<Preflight> {
    const { destination, machineId } = request;
    const machine = viewOf(this.#machines.entry(machineId));
    const receiver =
      destination.kind === 'waiting'
        ? (this.#machines.list().find(({ id }) => id === destination.machineId) ?? null)
        : null;
    const { settings } = await this.#settingsOf(request);
    const file = destination.kind === 'file' ? await fileFacts(destination.path) : null;
    const memoryAvailableBytes = memAvailableBytes(readFileSync('/proc/meminfo', 'utf8'));
    const items = preflightItems({ machine, destination, receiver, file, settings, memoryAvailableBytes });
    const canStart = items.every(({ severity }) => severity !== 'blocker');
    return { items, canStart, settings, checkedAt: new Date().toISOString() };
  }

  /** Starts a run and answers its id once both ends are there. */
  async start(request: MigrationRequest & { readonly acceptedRisks: readonly string[] }): Promise<string> {
    const { destination, machineId } = request;
    const taken = destination.kind === 'waiting' ? [machineId, destination.machineId] : [machineId];
    for (const id of taken) {
      if (!this.#preparing.has(id)) continue;
      const { name } = this.#machines.entry(id).row.settings;
      throw new CallError('refused', `A run of ${name} is being started: wait for it, or open it under Runs.`);
    }
    for (const id of taken) this.#preparing.add(id);
    try {
      return await this.#start(request);
    } finally {
      for (const id of taken) this.#preparing.delete(id);
    }
  }

  async #start(request: MigrationRequest & { readonly acceptedRisks: readonly string[] }): Promise<string> {
    const began = performance.now();
    const { items } = await this.preflight(request);
    for (const { severity, id, title, detail } of items) {
      if (severity === 'blocker') throw new CallError('refused', `${title} ${detail}`);
      if (severity === 'risk' && !request.acceptedRisks.includes(id)) {
        throw new CallError('refused', `Not accepted: ${title} ${detail}`);
      }
    }
    const { entry, live } = this.#machines.live(request.machineId);
    const { settings, profileName } = await this.#settingsOf(request);
    const receiver = await this.#receiver(request, entry, live);
    const plan: ActiveRunPlan = {
      machineId: entry.id,
      settings: entry.row.settings,
      source: live,
      route: receiver.route,
      request: request.destination,
      labels: receiver.labels,
      profileName,
      migration: settings,
      preparedInMs: performance.now() - began,
    };
    // From before its first byte on: if the app dies, the next one looks there.
    if (request.destination.kind === 'file') await this.#machines.savingTo(entry, request.destination.path);
    const run = new ActiveRun(plan, this.#hooks(entry, receiver));
    this.#active.set(run.id, run);
    entry.run = { id: run.id, role: 'source' };
    if (receiver.entry !== undefined) {
      receiver.entry.run = { id: run.id, role: 'destination' };
      this.#machines.changed(receiver.entry);
    }
    this.#machines.changed(entry);
    this.#events.emit('run.changed', run.view());
    void run.finished.then(() => this.#finished(run, entry, receiver.entry));
    return run.id;
  }

  /** Runs end before machines do: an app that closes cancels what can be cancelled, and does not wait for ever. */
  async close(): Promise<void> {
    const ended = Promise.all(
      [...this.#active.values()].map(async (run) => {
        await run.cancel().catch(() => undefined); // past the commit it ends by itself
        await run.finished;
      }),
    );
    const late = new AbortController();
    const patience = sleep(deadlines.closeRuns, undefined, { signal: late.signal }).catch(() => undefined);
    await Promise.race([ended, patience]);
    late.abort();
  }

  async #settingsOf(request: MigrationRequest): Promise<{ settings: MigrationSettings; profileName: string }> {
    const { profileId, overrides } = request;
    const shipped = SHIPPED_PROFILES.find(({ id }) => id === profileId);
    const saved = shipped ?? (await this.#store.listProfiles()).find(({ id }) => id === profileId)?.profile;
    if (saved === undefined) throw new CallError('not-found', 'There is no such profile any more: choose another one.');
    const changed = Object.keys(overrides.capabilities).length + Object.keys(overrides.parameters).length > 0;
    return {
      profileName: changed ? `${saved.name}, changed` : saved.name,
      settings: {
        capabilities: { ...saved.settings.capabilities, ...overrides.capabilities },
        parameters: { ...saved.settings.parameters, ...overrides.parameters },
      },
    };
  }

  async #receiver({ destination }: MigrationRequest, entry: MachineEntry, source: LiveMachine): Promise<Receiver> {
    const { name } = entry.row.settings;
    switch (destination.kind) {
      case 'new-process': {
        const live = await this.#machines.startProcess(entry, true).catch((error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error);
          throw new CallError('failed', `The receiver did not start: ${reason}. ${name} was not touched.`);
        });
        if (entry.live === undefined) {
          await live.dispose();
          throw new CallError('refused', `${name} has ended while its receiver was being started.`);
        }
        return {
          route: new MoveRoute(source, live, name),
          entry: undefined,
          labels: { source: 'this box', destination: 'new process' },
        };
      }
      case 'waiting': {
        const { entry: waiting, live } = this.#machines.live(destination.machineId);
        return {
          route: new MoveRoute(source, live, name),
          entry: waiting,
          labels: { source: 'this box', destination: waiting.row.settings.name },
        };
      }
      case 'file':
        return {
          route: new SaveRoute(source, destination.path, name),
          entry: undefined,
          labels: { source: 'this box', destination: basename(destination.path) },
        };
    }
  }

  #hooks(entry: MachineEntry, receiver: Receiver): ActiveRunHooks {
    let runId = '';
    const { destination } = receiver.route;
    return {
      onChange: (view) => {
        runId = view.id;
        if (this.#active.has(view.id)) this.#events.emit('run.changed', view);
      },
      onSample: (index, sample) => this.#events.emit('run.sample', { runId, index, sample }),
      onEvent: (event) => {
        if (runId !== '') this.#events.emit('run.event', { runId, event });
      },
      record: (run) => {
        runId = run.id;
        return recordRun(run, {
          store: this.#store,
          onProblem: (text) => this.#events.emit('notice', { level: 'warning', text }),
        });
      },
      onMoved: async () => {
        const { live: before, startedAt } = entry;
        if (destination === undefined) {
          await this.#machines.saved(entry);
        } else if (receiver.entry === undefined) {
          // The machine goes on in the new process. The old one has given the guest away and can go.
          await this.#machines.adopt(entry, destination);
          entry.startedAt = startedAt;
          await before?.dispose();
        } else {
          receiver.entry.startedAt = startedAt;
          entry.startedAt = null;
          await Promise.all([before?.look(), destination.look()]);
        }
      },
      onStayed: async () => {
        if (receiver.entry === undefined) await destination?.dispose();
        if (destination === undefined) await this.#machines.savingTo(entry, null);
        await entry.live?.look();
      },
      onUnknown: async () => {
        // A process that has ended before it had let go of its guest has left nothing whole in the file.
        if (destination === undefined && entry.live?.ended !== false) await this.#machines.savingTo(entry, null);
        else if (destination === undefined) await entry.live?.look();
        else if (receiver.entry === undefined && destination.ended) await destination.dispose();
        else if (receiver.entry === undefined) await this.#machines.keepAside(entry, destination);
        await entry.live?.look();
      },
    };
  }

  #finished(run: ActiveRun, entry: MachineEntry, receiver: MachineEntry | undefined): void {
    const view = run.view();
    this.#active.delete(run.id);
    for (const machine of [entry, receiver]) {
      if (machine === undefined) continue;
      machine.run = null;
      const { id, outcome, endedAt, downtimeMs } = view;
      machine.lastRun = { id, outcome, endedAt: endedAt ?? new Date().toISOString(), downtimeMs };
      this.#machines.changed(machine);
    }
    // Last: who hears of the end finds the machines as they are now.
    this.#events.emit('run.changed', view);
  }
}

/** Where the guest goes: a process of its own, one of the list, or a file, which is no process. */
interface Receiver {
  readonly route: MoveRoute | SaveRoute;
  /** The machine of the list that waits for it. */
  readonly entry: MachineEntry | undefined;
  readonly labels: ActiveRunPlan['labels'];
}
