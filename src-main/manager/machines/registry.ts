// SPDX-License-Identifier: Apache-2.0
/** The list of machines: settings from the store, processes that come and go, and what each is doing. */
import { randomUUID } from 'node:crypto';
import { CallError } from '../../../src-shared/call-error.ts';
import type { MachineSettings, MachineView } from '../../../src-shared/machine-view.ts';
import type { EventLog } from '../event-log.ts';
import { untilStill } from '../migrations/until-still.ts';
import { identityOf } from '../store/process-identity.ts';
import type { Store } from '../store/store.ts';
import type { MachineRow } from '../store/types.ts';
import { startChildProcess, type StartAttached } from './attached-process.ts';
import { describeExit, spawnMachine } from './builtin.ts';
import { startDetachedMachine, findDetachedMachine } from './detached.ts';
import { joinLeftovers, type LeftoverHost } from './leftover-processes.ts';
import { LiveMachine, spawnOptions, type LiveMachineHooks, type StartProcess } from './live-machine.ts';
import type { MachineEvent } from './link.ts';
import { checkSavedGuest, restoreGuest } from './saved-guest.ts';
import { checkSettings, newEntry, sentenceOf, viewOf, type MachineEntry } from './machine-entry.ts';

export type { MachineEntry } from './machine-entry.ts';

/** How long a deleted machine can be taken back; its process lives on until then. */
const UNDO_MS = 10_000;
/** How often a process that was found again, and does not answer, is asked. */
const ASK_AGAIN_MS = 5000;
/** As in the schema of a machine's settings. */
const MAX_NAME = 60;

export interface RegistryOptions {
  readonly store: Store;
  readonly events: EventLog;
  /** How the processes of attached machines are run; by default as children of this one. */
  readonly startAttached?: StartAttached;
}

export class MachineRegistry {
  readonly #store: Store;
  readonly #events: EventLog;
  readonly #startAttached: StartAttached;
  readonly #entries = new Map<string, MachineEntry>();
  readonly #deleted = new Map<string, { readonly entry: MachineEntry; readonly timer: NodeJS.Timeout }>();
  readonly #eventListeners = new Set<(entry: MachineEntry, event: MachineEvent) => void>();
  /** Processes that are being started: an end waits for them, since they must not be left behind. */
  readonly #coming = new Set<Promise<LiveMachine>>();
  #closing = false;

  constructor({ store, events, startAttached = startChildProcess }: RegistryOptions) {
    this.#store = store;
    this.#events = events;
    this.#startAttached = startAttached;
  }

  /**
   * Reads the list, and finds detached processes again. Attached ones of an earlier life are gone. Where a run's owner
   * died, both of its ends may be there: answers a sentence on each such guest, which is where it says afterwards.
   */
  async load(): Promise<readonly string[]> {
    const lastRuns = await this.#lastRuns();
    for (const row of await this.#store.listMachines()) {
      const entry = newEntry(row);
      entry.lastRun = lastRuns.get(row.id) ?? null;
      this.#entries.set(row.id, entry);
      if (row.process !== null) await this.#findAgain(entry);
    }
    return await joinLeftovers(this.#leftoverHost());
  }

  #leftoverHost(): LeftoverHost {
    return {
      entries: this.#entries,
      attach: (entry, process) => LiveMachine.attach(process, this.#hooks(entry)),
      adopt: (entry, live) => this.adopt(entry, live),
      keepAside: (entry, live) => this.keepAside(entry, live),
      changed: (entry) => this.changed(entry),
    };
  }

  get entries(): readonly MachineEntry[] {
    return [...this.#entries.values()];
  }

  list(): MachineView[] {
    return this.entries.map((entry) => viewOf(entry));
  }

  /** Throws a CallError where there is no such machine. */
  entry(id: string): MachineEntry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new CallError('not-found', 'There is no such machine on the list any more.');
    return entry;
  }

  /** The machine with a process that answers; else a CallError that says what is missing. */
  live(id: string): { readonly entry: MachineEntry; readonly live: LiveMachine } {
    const entry = this.entry(id);
    const { settings, process } = entry.row;
    if (entry.live === undefined && entry.process === 'live' && process !== null) {
      const pid = String(process.identity.pid);
      throw new CallError(
        'refused',
        `${settings.name} does not answer: its process ${pid} is asked every few seconds.`,
      );
    }
    if (entry.live === undefined) throw new CallError('refused', `${settings.name} is not running.`);
    return { entry, live: entry.live };
  }

  onMachineEvent(listener: (entry: MachineEntry, event: MachineEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => void this.#eventListeners.delete(listener);
  }

  async create(settings: MachineSettings, receiver: boolean): Promise<MachineView> {
    checkSettings(settings);
    const row = newRow(settings, receiver);
    await this.#store.insertMachine(row);
    const entry = newEntry(row);
    this.#entries.set(row.id, entry);
    this.changed(entry);
    if (receiver) await this.start(row.id);
    return viewOf(entry);
  }

  /** Starts its process; a receiver waits for a guest, every other one goes on from a file or runs the demo guest. */
  async start(id: string, from: StartFrom = 'saved'): Promise<void> {
    const entry = this.entry(id);
    if (entry.process !== 'none') throw new CallError('refused', `${entry.row.settings.name} has a process already.`);
    const file = fileOf(entry, from);
    // Before anything is waited for: two starts at once start one process.
    entry.process = 'starting';
    if (file !== null) {
      await checkSavedGuest(file).catch((error: unknown) => {
        entry.process = 'none';
        throw error;
      });
    }
    entry.died = false;
    this.changed(entry);
    try {
      const live = await this.startProcess(entry, entry.row.receiver, file);
      await this.adopt(entry, live);
      if (!entry.row.receiver || file !== null) entry.startedAt = performance.now();
      await this.#change(entry, { savedTo: null });
    } catch (error) {
      entry.process = 'none';
      await this.#change(entry, { process: null, lastWords: sentenceOf(error) });
      throw new CallError('failed', sentenceOf(error), { cause: error });
    }
  }

  /**
   * A process with the machine's settings, connected, that belongs to no entry yet. `incoming`: it waits for a guest;
   * `file`: it has the guest that is in the file.
   */
  async startProcess(entry: MachineEntry, incoming: boolean, file: string | null = null): Promise<LiveMachine> {
    const work = this.#startUnlessClosing(entry, incoming, file);
    this.#coming.add(work);
    try {
      return await work;
    } finally {
      this.#coming.delete(work);
    }
  }

  async #startUnlessClosing(entry: MachineEntry, incoming: boolean, file: string | null): Promise<LiveMachine> {
    const live = await this.#startLive(entry, incoming || file !== null);
    if (file !== null) await restoreGuest(live, file);
    if (!this.#closing) return live;
    await live.dispose();
    throw new CallError('unavailable', 'Godwit is ending.');
  }

  #startLive(entry: MachineEntry, incoming: boolean): Promise<LiveMachine> {
    const { settings } = entry.row;
    const start: StartProcess =
      settings.lifetime === 'detached'
        ? (options) => startDetachedMachine(options, entry.id)
        : (options) => spawnMachine(options, this.#startAttached);
    return LiveMachine.start(spawnOptions(settings, incoming), this.#hooks(entry), start);
  }

  /** From here on this process is the machine's. */
  async adopt(entry: MachineEntry, live: LiveMachine): Promise<void> {
    entry.live = live;
    entry.process = 'live';
    entry.died = false;
    this.#watchExit(entry, live);
    const { pid, folder, qmpPath, userQmpPath, serialPath } = live.process;
    const identity = identityOf(pid);
    const facts = identity === null ? null : { identity, folder, qmpPath, userQmpPath, serialPath };
    await this.#change(entry, { process: facts, lastWords: null });
  }

  /**
   * A process that may have the guest of `entry`, although it could not be asked: it gets a place of its own on the
   * list, so that nothing ends it and the user can look at it. Answers that place.
   */
  async keepAside(entry: MachineEntry, live: LiveMachine): Promise<MachineEntry> {
    const suffix = ' (destination)';
    const name = `${entry.row.settings.name.slice(0, MAX_NAME - suffix.length)}${suffix}`;
    const row = newRow({ ...entry.row.settings, name }, true);
    await this.#store.insertMachine(row);
    const aside = newEntry(row);
    this.#entries.set(row.id, aside);
    await this.adopt(aside, live);
    return aside;
  }

  /** From here on, until it is told otherwise, a process of the machine that is gone has left its guest in the file. */
  async savingTo(entry: MachineEntry, file: string | null): Promise<void> {
    await this.#change(entry, { savedTo: file });
  }

  /** The guest is in the file: its process has nothing left. */
  async saved(entry: MachineEntry): Promise<void> {
    const { live } = entry;
    if (live === undefined) return;
    entry.process = 'stopping';
    await live.dispose();
    await this.#ended(entry, live, null);
  }

  /** Ends its process, and with it the guest. */
  async stop(id: string): Promise<void> {
    const { entry, live } = this.live(id);
    if (entry.run !== null) {
      throw new CallError('refused', `${entry.row.settings.name} is being moved: cancel the run first.`);
    }
    entry.process = 'stopping';
    this.changed(entry);
    await live.dispose();
    await this.#ended(entry, live, null);
  }

  async pause(id: string): Promise<void> {
    await this.#command(id, 'stop', ['running'], 'It is not running.');
  }

  async resume(id: string): Promise<void> {
    await this.#command(id, 'cont', ['paused', 'prelaunch'], 'Only a paused guest can be resumed.');
  }

  async delete(id: string): Promise<{ readonly undoUntil: string }> {
    const entry = this.entry(id);
    if (entry.process === 'starting') throw new CallError('refused', 'It is starting.');
    if (entry.run !== null) {
      throw new CallError('refused', `${entry.row.settings.name} is being moved: cancel the run first.`);
    }
    await this.#change(entry, { deletedAt: new Date().toISOString() }, 'silently');
    this.#entries.delete(id);
    const timer = setTimeout(() => void this.#deleteForGood(id), UNDO_MS);
    this.#deleted.set(id, { entry, timer });
    this.#events.emit('machine.removed', { id });
    return { undoUntil: new Date(Date.now() + UNDO_MS).toISOString() };
  }

  async undoDelete(id: string): Promise<MachineView> {
    const deleted = this.#deleted.get(id);
    if (deleted === undefined) throw new CallError('not-found', 'It is too late: the machine was deleted for good.');
    clearTimeout(deleted.timer);
    this.#deleted.delete(id);
    this.#entries.set(id, deleted.entry);
    await this.#change(deleted.entry, { deletedAt: null });
    return viewOf(deleted.entry);
  }

  /** Tells the screens how it is now. */
  changed(entry: MachineEntry): void {
    if (this.#entries.has(entry.id)) this.#events.emit('machine.changed', viewOf(entry));
  }

  /** Ends attached machines, lets go of detached ones. */
  async close(): Promise<void> {
    this.#closing = true;
    await Promise.allSettled(this.#coming);
    await Promise.all([...this.#deleted.keys()].map((id) => this.#deleteForGood(id)));
    await Promise.all(
      this.entries.map(async ({ live, row }) => {
        if (row.settings.lifetime === 'detached') live?.release();
        else await live?.dispose();
      }),
    );
  }

  async #command(id: string, command: 'stop' | 'cont', from: readonly string[], otherwise: string): Promise<void> {
    const { entry, live } = this.live(id);
    const state = live.runState ?? '';
    const moving = entry.run !== null && command === 'cont';
    if (moving || !from.includes(state)) {
      throw new CallError('refused', moving ? 'The run decides where the guest runs.' : otherwise);
    }
    await live.link.execute(command).catch((error: unknown) => {
      throw new CallError('failed', sentenceOf(error), { cause: error });
    });
    await live.look();
  }

  #hooks(entry: MachineEntry): LiveMachineHooks {
    return {
      onChange: () => this.changed(entry),
      onEvent: (event) => {
        for (const listener of this.#eventListeners) listener(entry, event);
      },
    };
  }

  #watchExit(entry: MachineEntry, live: LiveMachine): void {
    void live.process.exited.then(async (exit) => {
      if (this.#closing || entry.live !== live || entry.process === 'stopping') return;
      const { name } = entry.row.settings;
      const words = describeExit(exit);
      entry.died = true;
      await this.#ended(entry, live, words);
      this.#events.emit('notice', { level: 'error', text: `${name} has ended: ${words}` });
    });
  }

  async #ended(entry: MachineEntry, live: LiveMachine, lastWords: string | null): Promise<void> {
    if (entry.live !== live) return;
    entry.live = undefined;
    entry.process = 'none';
    entry.startedAt = null;
    entry.listensAt = null;
    await this.#change(entry, { process: null, lastWords });
    await live.dispose();
  }

  async #deleteForGood(id: string): Promise<void> {
    const deleted = this.#deleted.get(id);
    if (deleted === undefined) return;
    clearTimeout(deleted.timer);
    this.#deleted.delete(id);
    await deleted.entry.live?.dispose();
    await this.#store.removeMachine(id).catch(() => undefined);
  }

  /** A process that does not answer may have a guest all the same: it is left as it is, and asked again. */
  async #findAgain(entry: MachineEntry): Promise<void> {
    const found = entry.row.process === null ? null : findDetachedMachine(entry.row.process, entry.row.settings.name);
    if (found === null) {
      entry.process = 'none';
      await this.#change(entry, { process: null });
      return;
    }
    try {
      const live = await LiveMachine.attach(found, this.#hooks(entry));
      entry.startedAt = performance.now() - found.ageMs;
      await this.adopt(entry, live);
      await this.#settleSave(entry, live);
    } catch (error) {
      entry.process = 'live';
      await this.#change(entry, { lastWords: sentenceOf(error) });
      setTimeout(() => {
        if (!this.#closing && entry.live === undefined) void this.#findAgain(entry);
      }, ASK_AGAIN_MS).unref();
    }
  }

  /** The app ended while the guest was being saved: where is it? */
  async #settleSave(entry: MachineEntry, live: LiveMachine): Promise<void> {
    if (entry.row.savedTo === null) return;
    await untilStill(live.link);
    await live.look();
    if (live.runState === 'postmigrate') await this.saved(entry);
    else await this.savingTo(entry, null);
  }

  async #change(entry: MachineEntry, change: Partial<MachineRow>, silently?: 'silently'): Promise<void> {
    entry.row = { ...entry.row, ...change };
    if (silently === undefined) this.changed(entry);
    // A store that cannot write tells it by itself; the machine goes on.
    await this.#store.updateMachine(entry.id, change).catch(() => undefined);
  }

  async #lastRuns(): Promise<Map<string, NonNullable<MachineView['lastRun']>>> {
    const { runs } = await this.#store.listRuns({ limit: 500 });
    const last = new Map<string, NonNullable<MachineView['lastRun']>>();
    for (const { id, machineId, outcome, endedAt, downtimeMs } of runs) {
      if (machineId === null || endedAt === null || last.has(machineId)) continue;
      last.set(machineId, { id, outcome, endedAt, downtimeMs });
    }
    return last;
  }
}

/** `saved`: from where it was saved to, if it was. */
export type StartFrom = 'saved' | 'new' | { readonly file: string };

function fileOf({ row }: MachineEntry, from: StartFrom): string | null {
  if (from === 'new') return null;
  return from === 'saved' ? row.savedTo : from.file;
}

function newRow(settings: MachineSettings, receiver: boolean): MachineRow {
  return {
    id: randomUUID(),
    kind: 'godwit',
    settings,
    receiver,
    process: null,
    lastWords: null,
    createdAt: new Date().toISOString(),
    deletedAt: null,
    savedTo: null,
  };
}
