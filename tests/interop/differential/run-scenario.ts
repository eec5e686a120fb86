// SPDX-License-Identifier: Apache-2.0
/** Runs a scenario on machines of one kind and answers what was said: replies, events, exit codes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonValue } from '../../../src-main/control/json.ts';
import { QmpError } from '../../../src-main/control/protocol.ts';
import type { MachineEvent } from '../../../src-main/manager/machines/link.ts';
import { startEnd, type End, type Kind } from './end.ts';
import { listenAsFakePeer } from './fake-peer.ts';
import { normalise, type Words } from './normalise.ts';
import type { EndName, Scenario, Step } from './scenario.ts';

const PATIENCE_MS = 20_000;
const LOOK_EVERY_MS = 5;
const EVENT_PATIENCE_MS = 1000;
/** Their number depends on how fast the box is. */
const NOT_COMPARED = new Set(['MIGRATION_PASS']);

/** The transcript of one run, as plain JSON. */
export type Transcript = {
  readonly steps: JsonValue[];
  /** Of each end: a status of MIGRATION, or the name of another event. */
  readonly events: Record<string, string[]>;
};

/** Both machines of one kind that scenarios without lasting effects share. */
export interface SharedEnds extends AsyncDisposable {
  readonly ends: ReadonlyMap<EndName, End>;
}

export async function startSharedEnds(kind: Kind): Promise<SharedEnds> {
  const ends = await startEnds(kind, ['source', 'destination']);
  return { ends, [Symbol.asyncDispose]: () => disposeAll(ends) };
}

export async function runScenario(scenario: Scenario, kind: Kind, shared: SharedEnds): Promise<Transcript> {
  const folder = mkdtempSync(join(tmpdir(), 'gw-diff-'));
  const own = scenario.ends !== 'shared';
  try {
    const ends = scenario.ends === 'shared' ? shared.ends : await startEnds(kind, scenario.ends);
    try {
      await using _peer = scenario.peer && (await listenAsFakePeer(scenario.peer, join(folder, 'peer.sock')));
      return await new Run(scenario, ends, folder).run();
    } finally {
      if (own) await disposeAll(ends);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startEnds(kind: Kind, names: readonly EndName[]): Promise<Map<EndName, End>> {
  const started = await Promise.all(
    names.map(async (name) => [name, await startEnd(kind, name === 'destination')] as const),
  );
  return new Map(started);
}

async function disposeAll(ends: ReadonlyMap<EndName, End>): Promise<void> {
  await Promise.all([...ends.values()].map((end) => end.dispose()));
}

class Run {
  readonly #scenario: Scenario;
  readonly #ends: ReadonlyMap<EndName, End>;
  readonly #folder: string;
  readonly #seen: ReadonlyMap<EndName, number>;

  constructor(scenario: Scenario, ends: ReadonlyMap<EndName, End>, folder: string) {
    this.#scenario = scenario;
    this.#ends = ends;
    this.#folder = folder;
    this.#seen = new Map([...ends].map(([name, end]) => [name, end.events.length]));
  }

  async run(): Promise<Transcript> {
    const steps: JsonValue[] = [];
    for (const step of this.#scenario.steps)
      steps.push(await this.#step(step).catch((error: unknown) => this.#lost(step, error)));
    const events: Record<string, string[]> = {};
    for (const [name, end] of this.#ends) {
      events[name] = end.events
        .slice(this.#seen.get(name))
        .filter((event) => !NOT_COMPARED.has(event.name))
        .map(eventName)
        .filter((name) => name !== this.#scenario.mayPass);
    }
    return { steps, events };
  }

  /** A connection that was lost says nothing of why: its process may. */
  async #lost(step: Step, error: unknown): Promise<never> {
    const end = this.#end(step.end);
    const exit = await Promise.race([end.exited, sleep(EVENT_PATIENCE_MS, 'goes on')]);
    const what = step.do === 'ask' ? step.command : step.do;
    const message = error instanceof Error ? error.message : String(error);
    const words = `"${end.lastWords()}"`;
    throw new Error(`${what} at the ${step.end}: ${message} (process: ${String(exit)}, ${words})`, { cause: error });
  }

  async #step(step: Step): Promise<JsonValue> {
    const end = this.#end(step.end);
    switch (step.do) {
      case 'ask':
        return await this.#ask(end, step);
      case 'await':
        return { status: await this.#status(end, step.status) };
      case 'kill':
        end.kill();
        await end.exited;
        return 'killed';
      case 'await-exit':
        return { exit: await this.#withPatience(end.exited, 'the end of the process') };
    }
  }

  async #ask(end: End, { command, arguments: args, pick }: Extract<Step, { do: 'ask' }>): Promise<JsonValue> {
    try {
      const reply = (await end.link.execute(command, this.#filled(args))) as JsonValue;
      return { return: this.#plain(pick === undefined ? reply : picked(reply, pick)) };
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
      return { error: { class: error.class, desc: this.#plain(error.message) } };
    }
  }

  async #status(end: End, wanted: readonly string[]): Promise<string> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const { info } = await end.link.migration();
      const status = info.status ?? 'absent';
      if (wanted.includes(status)) {
        await this.#heard(end, status);
        return status;
      }
      if (performance.now() > until) return `${status} instead of ${wanted.join(' or ')}`;
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** The event of a status that was seen may still be on its way, where events are on. */
  async #heard(end: End, status: string): Promise<void> {
    const until = performance.now() + EVENT_PATIENCE_MS;
    const last = (): string | undefined =>
      end.events
        .filter(({ name }) => name === 'MIGRATION')
        .map(eventName)
        .at(-1);
    while (last() !== undefined && last() !== status && performance.now() < until) await sleep(LOOK_EVERY_MS);
  }

  async #withPatience<T>(promise: Promise<T>, what: string): Promise<T | string> {
    const late = new AbortController();
    const patience = sleep(PATIENCE_MS, `${what} did not come`, { signal: late.signal });
    patience.catch(() => undefined);
    const result = await Promise.race([promise, patience]);
    late.abort();
    return result;
  }

  #end(name: EndName): End {
    const end = this.#ends.get(name);
    if (end === undefined) throw new Error(`scenario ${this.#scenario.name} has no ${name}`);
    return end;
  }

  /** Arguments with the addresses of this run. */
  #filled(args: Readonly<Record<string, unknown>> | undefined): Readonly<Record<string, unknown>> | undefined {
    if (args === undefined) return undefined;
    return fill(args, {
      '{uri}': `unix:${this.#folder}/m.sock`,
      '{peer}': `unix:${this.#folder}/peer.sock`,
      '{folder}': this.#folder,
    }) as Readonly<Record<string, unknown>>;
  }

  #plain(value: JsonValue): JsonValue {
    const words: Words = [[this.#folder, '<folder>']];
    return normalise(value, words);
  }
}

/** A status of MIGRATION, or the name of another event. */
function eventName({ name, data }: MachineEvent): string {
  return name === 'MIGRATION' ? String(data['status']) : name;
}

function fill(value: unknown, words: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') {
    return Object.entries(words).reduce((text, [word, meaning]) => text.replaceAll(word, meaning), value);
  }
  if (Array.isArray(value)) return value.map((item) => fill(item, words));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, fill(member, words)]));
}

/** One member of an object, or the elements of a list that are about the capability of that name. */
function picked(reply: JsonValue, name: string): JsonValue {
  if (Array.isArray(reply)) {
    return (reply as Record<string, JsonValue>[]).filter(({ capability }) => capability === name);
  }
  return (reply as Record<string, JsonValue>)[name] ?? 'absent';
}
