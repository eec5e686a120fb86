// SPDX-License-Identifier: Apache-2.0
/**
 * The main job, end to end: two machine processes, a live guest in one of them, one migration, and then the guest's
 * own verdict from the other while the first is dead. No output: progress by callback, the outcome as a value or a
 * DemoError.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { plainText } from '../../src-shared/plain-text.ts';
import { deadlines, SAMPLE_INTERVAL_MS } from './deadlines.ts';
import { cancelMigration } from './demo/cancel.ts';
import { checksDeadlineMs, GuestStuckError, GuestWatch } from './demo/guest-watch.ts';
import { finalStatus, listeningUri, ProgressWatchdog, sampleOf } from './demo/migration-watch.ts';
import { MachinePair } from './demo/pair.ts';
import { assembleResult } from './demo/result.ts';
import type { DemoVerdict } from './demo/result.ts';
import type { DemoRecording } from './demo/recording.ts';
import { DemoError } from './demo/types.ts';
import type { DemoOptions, DemoProgress, DemoResult } from './demo/types.ts';
import { describeExit, MachineError } from './machines/builtin.ts';
import type { Heartbeat, MigrateReply } from './machines/replies.ts';

export { DemoError } from './demo/types.ts';
export type { DemoOptions, DemoProgress, DemoResult } from './demo/types.ts';

/** What the guest must have checked, with the source dead, before it is believed. */
export const SWEEPS_NEEDED = 2;
export const STATIC_PASSES_NEEDED = 1;

/** Run states of a destination that has not taken the guest over yet. */
const WAITING_STATES: readonly string[] = ['inmigrate', 'paused'];

export interface DemoHooks {
  /** Aborting cancels: `migrate_cancel`, then everything is removed. */
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: DemoProgress) => void;
  /** Keeps the record of the migration, from `migrate` on. */
  readonly recording?: DemoRecording;
}

/** Runs the demo. Rejects with a {@link DemoError}, or with whatever kept a machine from starting. */
export async function runDemo(options: DemoOptions, hooks: DemoHooks): Promise<DemoResult> {
  const run = new DemoRun(options, hooks);
  try {
    const result = await run.run();
    hooks.recording?.end(result);
    return result;
  } catch (error) {
    hooks.recording?.fail(error);
    throw error;
  } finally {
    await run.dispose();
  }
}

class DemoRun {
  readonly #options: DemoOptions;
  readonly #signal: AbortSignal;
  readonly #recording: DemoRecording | undefined;
  readonly #report: (progress: DemoProgress) => void;
  readonly #pair = new MachinePair();
  #guest: GuestWatch | undefined;
  #migrateAt: { readonly ms: number; readonly ns: bigint } | undefined;
  #before: readonly Heartbeat[] = [];
  #atStop: readonly Heartbeat[] | undefined;
  #after: readonly Heartbeat[] | undefined;
  /** The source's last words before it was killed; undefined while it can still be asked. */
  #sourceRecord: Record<string, unknown> | null | undefined;

  constructor(options: DemoOptions, hooks: DemoHooks) {
    this.#options = options;
    this.#signal = hooks.signal;
    this.#recording = hooks.recording;
    this.#report = hooks.onProgress ?? (() => undefined);
  }

  async run(): Promise<DemoResult> {
    try {
      await this.#start();
      const guest = await this.#warmUp();
      const uri = await this.#openDestination();
      await this.#migrate(guest, uri);
      await this.#takeOver(guest);
      return await this.#verify(guest);
    } catch (error) {
      throw await this.#explain(error);
    }
  }

  async dispose(): Promise<void> {
    await this.#pair.dispose();
  }

  /** Both machine processes, ready, with return path and events on. */
  async #start(): Promise<void> {
    this.#report({ phase: 'starting' });
    const { memoryBytes, cpus, dirtyRate, workingSetBytes } = this.#options;
    const common = { machine: 'microvm', memoryBytes, cpus } as const;
    const source = { ...common, name: 'source', guest: { dirtyRate, workingSetBytes } };
    const destination = { ...common, name: 'destination', incoming: 'defer' };
    await this.#pair.start({ source, destination }, this.#signal);
    for (const side of ['source', 'destination'] as const) {
      await this.#pair.link(side).setCapabilities(['events', 'return-path']);
    }
    // Memory and sockets of one box have no use for the 128 MiB/s that migrations are limited to by default.
    await this.#pair.link('source').execute('migrate-set-parameters', { 'max-bandwidth': 0 });
  }

  /** Waits until every vCPU beats and has stamped its whole slice once. */
  async #warmUp(): Promise<GuestWatch> {
    const guest = new GuestWatch(
      this.#options.cpus,
      this.#pair.link('source'),
      this.#pair.machine('source').serialPath,
    );
    this.#guest = guest;
    const began = performance.now();
    const { pids } = this.#pair;
    await this.#pair.whileAlive(
      'source',
      guest.until(
        ({ beats, generation }, checks) => {
          this.#report({ phase: 'warming-up', pids, generation, elapsedMs: performance.now() - began });
          return beats.vcpus.every((beat) => beat.count > 1) && checks.sweeps >= 1;
        },
        { deadlineMs: checksDeadlineMs(this.#options, 1, 2), goal: "the guest's first sweep", signal: this.#signal },
      ),
    );
    return guest;
  }

  /** Lets the destination listen; answers the URI that the source is to connect to. */
  async #openDestination(): Promise<string> {
    const asked = this.#options.uri ?? `unix:${join(this.#pair.machine('destination').folder, 'migration.sock')}`;
    const destination = this.#pair.link('destination');
    await destination.execute('migrate-incoming', { uri: asked });
    const listening = listeningUri((await destination.migration()).info) ?? asked;
    return (await this.#options.route?.(listening)) ?? listening;
  }

  /** From `migrate` to the source's `completed`; anything else throws. */
  async #migrate(guest: GuestWatch, uri: string): Promise<void> {
    const source = this.#pair.link('source');
    const downtimeLimitMs = await source.downtimeLimitMs();
    this.#recording?.begin({ uri, pids: this.#pair.pids, events: this.#pair.events, downtimeLimitMs });
    const { info } = await source.migration();
    const [blocked] = info['blocked-reasons'] ?? [];
    if (blocked !== undefined) throw new DemoError('BLOCKED', `the guest cannot move: ${plainText(blocked)}`);
    const { beats } = await guest.look();
    this.#before = beats.vcpus;
    this.#migrateAt = { ms: performance.now(), ns: beats['monotonic-ns'] };
    await source.execute('migrate', { uri });
    await this.#pair.whileAlive('source', this.#watchMigration(guest, uri, downtimeLimitMs));
  }

  async #watchMigration(guest: GuestWatch, uri: string, downtimeLimitMs: number): Promise<void> {
    const watchdog = new ProgressWatchdog(deadlines.noProgress);
    const began = performance.now();
    for (;;) {
      const [{ info }, look, destination] = await Promise.all([
        this.#pair.link('source').migration(),
        guest.look(),
        this.#recording && this.#destinationInfo(),
      ]);
      this.#recording?.sample(info, destination ?? null);
      const migration = sampleOf(info, downtimeLimitMs);
      const { generation, rate: generationRate } = look;
      const elapsedMs = performance.now() - began;
      this.#report({ phase: 'migrating', uri, migration, generation, generationRate, elapsedMs });
      const ended = finalStatus(info);
      if (ended === 'completed') return;
      if (ended !== undefined) throw await this.#migrationFailure(info);
      if (watchdog.isStuck(info, performance.now())) {
        const silence = `nothing moved for ${String(deadlines.noProgress / 1000)} s: the migration hangs`;
        throw await this.#failure(`${silence}. ${await this.#whereIsTheGuest()}`);
      }
      await sleep(SAMPLE_INTERVAL_MS, undefined, { signal: this.#signal });
    }
  }

  /** Null when it does not answer: what that means, the source says. */
  async #destinationInfo(): Promise<MigrateReply | null> {
    try {
      return (await this.#pair.link('destination').migration()).info;
    } catch {
      return null;
    }
  }

  /** What happened, and where the guest is: asked of the source, not assumed. */
  async #migrationFailure(info: MigrateReply): Promise<DemoError> {
    const reason = plainText(info['error-desc'] ?? `the migration ended ${String(info.status)}`);
    // A destination that refused the stream ends, and its last words are the better half of the reason.
    const { exited } = this.#pair.machine('destination');
    const exit = await Promise.race([exited, sleep(deadlines.takeover, undefined, { ref: false })]);
    const said = exit === undefined ? '' : ` (destination: ${describeExit(exit)})`;
    return this.#failure(`${reason}${said}. ${await this.#whereIsTheGuest()}`);
  }

  async #whereIsTheGuest(): Promise<string> {
    const runState = await this.#pair.link('source').runState();
    return runState === 'running' ? 'The guest still runs on the source' : `The source is ${plainText(runState)}`;
  }

  /** Waits for the destination to run the guest, takes the source's last facts, and kills it. */
  async #takeOver(guest: GuestWatch): Promise<void> {
    this.#atStop = (await this.#pair.link('source').heartbeats()).vcpus;
    await this.#pair.whileAlive('destination', this.#awaitTakeover());
    this.#sourceRecord = await this.#pair.record('source');
    await guest.moveTo(this.#pair.link('destination'), this.#pair.machine('destination').serialPath);
    this.#pair.machine('source').kill('SIGKILL');
    await this.#pair.machine('source').exited;
  }

  /**
   * Until the destination runs the guest. When GO was lost the destination waits, loaded and paused; the source has
   * said `completed` and never runs the guest again, so `cont` makes exactly one run.
   */
  async #awaitTakeover(): Promise<void> {
    const destination = this.#pair.link('destination');
    const began = performance.now();
    let told = false;
    for (;;) {
      const [{ info }, runState] = await Promise.all([destination.migration(), destination.runState()]);
      if (runState === 'running' && info.status === 'completed') return;
      const waited = performance.now() - began;
      const waits = WAITING_STATES.includes(runState);
      if (!waits && runState !== 'running') {
        throw new GuestStuckError(`the guest stopped on the destination (${plainText(runState)})`);
      }
      if (waits && !told && waited > deadlines.takeover) {
        await destination.execute('cont');
        told = true;
      }
      if (waited > deadlines.takeover + deadlines.takeoverAfterCont) {
        throw await this.#failure(`the source completed, but the destination is still ${plainText(runState)}`);
      }
      await sleep(SAMPLE_INTERVAL_MS / 5, undefined, { signal: this.#signal });
    }
  }

  /** Lets the guest check itself with the source dead, and judges. */
  async #verify(guest: GuestWatch): Promise<DemoResult> {
    this.#after = await this.#pair.whileAlive('destination', this.#awaitChecks(guest));
    const { result, problems } = await this.#assess();
    if (problems.length === 0) return result;
    const reasons = problems.map((problem) => plainText(problem)).join('; ');
    throw new DemoError('FAILED', `the guest did not continue: ${reasons}`, { result });
  }

  async #awaitChecks(guest: GuestWatch): Promise<readonly Heartbeat[]> {
    const began = performance.now();
    const needed = { sweepsNeeded: SWEEPS_NEEDED, staticPassesNeeded: STATIC_PASSES_NEEDED };
    const { pid: sourcePid } = this.#pair.machine('source');
    const look = await guest.until(
      ({ beats, generation, rate: generationRate }, checks) => {
        const { sweeps, staticPasses } = checks.after;
        const elapsedMs = performance.now() - began;
        const seen = { sourcePid, sweeps, staticPasses, generation, generationRate, elapsedMs };
        this.#report({ phase: 'verifying', ...seen, ...needed });
        const enough = sweeps >= SWEEPS_NEEDED && staticPasses >= STATIC_PASSES_NEEDED;
        // A guest that found corruption has given its verdict; there is nothing more to wait for.
        return checks.corruptCount > 0 || (enough && beats.vcpus.every((beat) => beat.count > 0));
      },
      {
        deadlineMs: checksDeadlineMs(this.#options, 10 * (SWEEPS_NEEDED + 1), 2 * (STATIC_PASSES_NEEDED + 1)),
        goal: `${String(SWEEPS_NEEDED)} sweeps and a pass over all memory`,
        signal: this.#signal,
      },
    );
    return look.beats.vcpus;
  }

  async #failure(message: string, cause?: unknown): Promise<DemoError> {
    const result = this.#migrateAt === undefined ? undefined : (await this.#assess()).result;
    return new DemoError('FAILED', message, { cause, ...(result && { result }) });
  }

  async #assess(): Promise<DemoVerdict> {
    const checks = this.#guest?.checks;
    return assembleResult({
      mode: this.#options.mode,
      pids: this.#pair.pids,
      events: this.#pair.events,
      migrateAt: this.#migrateAt ?? { ms: 0, ns: 0n },
      source: this.#sourceRecord === undefined ? await this.#pair.record('source') : this.#sourceRecord,
      destination: await this.#pair.record('destination'),
      before: this.#before,
      atStop: this.#atStop,
      after: this.#after,
      sweepsAfter: checks?.after.sweeps ?? 0,
      corrupt: checks?.corrupt ?? [],
      corruptCount: checks?.corruptCount ?? 0,
    });
  }

  /** Turns whatever ended the run into what the user is told; a cancel is carried out first. */
  async #explain(error: unknown): Promise<unknown> {
    if (this.#signal.aborted) {
      this.#report({ phase: 'cancelling' });
      const outcome = await this.#cancel();
      if (this.#recording !== undefined && this.#migrateAt !== undefined) {
        this.#recording.ends(await this.#pair.record('source'), await this.#pair.record('destination'));
      }
      return new DemoError('CANCELLED', outcome, { cause: error });
    }
    if (error instanceof GuestStuckError) {
      // A vCPU that cannot go on is explained on the stderr of its process.
      const words = this.#pair.machine(this.#atStop === undefined ? 'source' : 'destination').lastWords();
      return this.#failure(words === '' ? error.message : `${error.message}: ${words}`, error);
    }
    if (error instanceof MachineError && this.#migrateAt !== undefined) {
      const destination = await this.#pair.record('destination');
      const where = destination === null ? 'gone too' : plainText(String(destination['runstate']));
      const tail = this.#atStop === undefined ? `. The destination is ${where}` : '';
      return this.#failure(`${error.message}${tail}`, error);
    }
    return error;
  }

  /** Answers what came of it. */
  async #cancel(): Promise<string> {
    if (this.#migrateAt === undefined) return 'cancelled before the migration began';
    if (this.#atStop !== undefined) return 'cancelled after the guest had moved, before it had checked itself';
    return cancelMigration(this.#pair.link('source'));
  }
}
