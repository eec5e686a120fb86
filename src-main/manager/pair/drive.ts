// SPDX-License-Identifier: Apache-2.0
/**
 * Drives one migration between two machines of either kind, from their QMP sockets to where exactly one of them has the
 * guest. No output: progress by callback, the outcome as a value or a PairError.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { peerFor } from '../../../src-shared/migration/peer-release.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import type { Whereabouts } from '../../../src-shared/run.ts';
import { QmpError } from '../../control/protocol.ts';
import { deadlines, SAMPLE_INTERVAL_MS } from '../deadlines.ts';
import { finalStatus, listeningUri, ProgressWatchdog, sampleOf } from '../demo/migration-watch.ts';
import { handOver } from '../hand-over.ts';
import type { MigrateReply } from '../machines/replies.ts';
import { reasonOf, withStop } from '../migrations/run-errors.ts';
import { readLimits, type RunLimits } from '../migrations/run-limits.ts';
import { untilStill } from '../migrations/until-still.ts';
import { whyBlocked } from './checks.ts';
import { factsOf, presentEnds, recordOf, whereIsTheGuest, type Ends } from './ends.ts';
import { ForeignMachine } from './foreign-machine.ts';
import { PairRecording, type BeginRecord } from './recording.ts';
import { PairError, type PairPlan, type PairProgress, type PairResult, type Side } from './types.ts';

export interface PairHooks {
  /** Aborting cancels: `migrate_cancel`, and what came of it. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: PairProgress) => void;
  readonly record: BeginRecord;
}

/** Rejects with a {@link PairError}. */
export async function drivePair(plan: PairPlan, hooks: PairHooks): Promise<PairResult> {
  const run = new PairRun(plan, hooks);
  try {
    return await run.run();
  } finally {
    run.close();
  }
}

/** The migration hangs: it is cancelled, and the user told. */
class StuckError extends Error {
  override readonly name = 'StuckError';
  readonly code = 'STUCK';

  constructor() {
    super(`nothing moved for ${String(deadlines.noProgress / 1000)} s: the migration hangs`);
  }
}

/** The stream is kept, and both ends need not be there at once. */
const isKept = (uri: string): boolean => /^(file|exec):/.test(uri);

class PairRun {
  readonly #plan: PairPlan;
  readonly #hooks: PairHooks;
  readonly #recording: PairRecording;
  #source: ForeignMachine | undefined;
  #destination: ForeignMachine | undefined;
  #begun = false;
  #guestRan = true;
  #limits: RunLimits = { maxBandwidth: 0, downtimeLimitMs: 300 };
  readonly #stuck = new AbortController();
  readonly #watchdog = new ProgressWatchdog(deadlines.noProgress);
  #uri: string;

  constructor(plan: PairPlan, hooks: PairHooks) {
    this.#plan = plan;
    this.#hooks = hooks;
    this.#uri = plan.uri;
    this.#recording = new PairRecording(hooks.record);
  }

  async run(): Promise<PairResult> {
    this.#hooks.onProgress({ phase: 'connecting' });
    await this.#connect();
    await this.#check();
    await this.#prepare();
    this.#hooks.signal.throwIfAborted();
    try {
      await this.#move();
    } catch (error) {
      throw await this.#explain(error);
    }
    const where = await this.#where();
    const saved = this.#destination === undefined;
    if (!saved && where.guest !== 'destination') throw await this.#failure(where.sentence, where);
    await this.#finish('completed', null, where);
    return await this.#result();
  }

  close(): void {
    this.#source?.close();
    this.#destination?.close();
  }

  // ---- before anything is begun

  async #connect(): Promise<void> {
    const { from, to } = this.#plan;
    const { signal } = this.#hooks;
    if (from !== undefined) this.#source = await ForeignMachine.connect('source', from, signal);
    if (to !== undefined) this.#destination = await ForeignMachine.connect('destination', to, signal);
    for (const [side, { link }] of presentEnds(this.#ends)) link.onEvent((event) => this.#recording.heard(side, event));
  }

  get #ends(): Ends {
    return { source: this.#source, destination: this.#destination };
  }

  async #check(): Promise<void> {
    const source = await factsOf(this.#source);
    const why = whyBlocked(source, await factsOf(this.#destination));
    if (why !== undefined) throw new PairError('BLOCKED', why);
    this.#guestRan = source === undefined || source.runState === 'running';
  }

  async #prepare(): Promise<void> {
    const { settings } = this.#plan;
    const capabilities = Object.entries({
      events: true,
      // Nobody answers from a file or a command: a QEMU would wait for it.
      'return-path': !isKept(this.#uri),
      ...settings.capabilities,
    }).map(([capability, state]) => ({ capability, state }));
    for (const [side, machine] of presentEnds(this.#ends)) {
      await this.#unlessRefused(side, machine, 'migrate-set-capabilities', { capabilities });
      const parameters = side === 'source' ? { ...this.#dialect(machine), ...settings.parameters } : {};
      if (Object.keys(parameters).length > 0) {
        await this.#unlessRefused(side, machine, 'migrate-set-parameters', parameters);
      }
    }
    if (this.#source !== undefined) this.#limits = await readLimits(this.#source.link);
  }

  /** A Godwit source writes the stream for whoever reads it; a QEMU's own machine type decides that. */
  #dialect(source: ForeignMachine): Readonly<Record<string, string>> {
    const reader = this.#destination?.identity;
    if (source.identity.kind !== 'godwit' || reader?.kind !== 'qemu') return {};
    return { 'x-godwit-peer': peerFor(reader.release) };
  }

  async #unlessRefused(
    side: Side,
    machine: ForeignMachine,
    command: string,
    args: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    try {
      await machine.link.execute(command, args);
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
      throw new PairError('BLOCKED', `The ${side} refuses: ${plainText(error.message)}`, { cause: error });
    }
  }

  // ---- the way

  async #move(): Promise<void> {
    const { uri } = this.#plan;
    if (isKept(uri)) {
      if (this.#source !== undefined) await this.#save(this.#source);
      if (this.#destination !== undefined) await this.#restore(this.#destination);
      return;
    }
    if (this.#source === undefined || this.#destination === undefined) {
      throw new PairError('BLOCKED', 'A migration over a socket needs both ends');
    }
    this.#uri = await this.#listen(this.#destination);
    await this.#begin(this.#source);
    const sampling = new AbortController();
    const sampled = this.#sampleUntil(sampling.signal);
    try {
      const moved = await handOver(
        { source: this.#source.link, destination: this.#destination.link },
        { guestRan: this.#guestRan, signal: AbortSignal.any([this.#hooks.signal, this.#stuck.signal]) },
      );
      if (moved.guest === 'stayed')
        throw new PairError(moved.status === 'cancelled' ? 'CANCELLED' : 'FAILED', moved.reason);
    } finally {
      sampling.abort();
      await sampled;
    }
  }

  /** Answers what the source is to connect to. */
  async #listen(destination: ForeignMachine): Promise<string> {
    // The manager's word starts the guest where an end is a stock QEMU: until then the destination runs nothing. Two
    // Godwits agree by themselves.
    const stock = presentEnds(this.#ends).some(([, { identity }]) => identity.kind === 'qemu');
    if (stock) await destination.link.execute('stop');
    await this.#unlessRefused('destination', destination, 'migrate-incoming', { uri: this.#uri });
    return listeningUri((await destination.link.migration()).info) ?? this.#uri;
  }

  async #begin(source: ForeignMachine): Promise<void> {
    this.#recording.attempt();
    await this.#unlessRefused('source', source, 'migrate', { uri: this.#uri });
    this.#begun = true;
    this.#recording.begin(this.#plan, this.#uri, source, this.#destination);
  }

  /** Nobody is at the other end: the source alone decides when it has let go. */
  async #save(source: ForeignMachine): Promise<void> {
    await this.#begin(source);
    for (;;) {
      this.#hooks.signal.throwIfAborted();
      this.#stuck.signal.throwIfAborted();
      const info = await this.#look(source);
      const ended = finalStatus(info);
      if (ended === 'completed') return;
      if (ended !== undefined) {
        throw new PairError(
          ended === 'cancelled' ? 'CANCELLED' : 'FAILED',
          info['error-desc'] ?? `The migration ended ${ended}`,
        );
      }
      await this.#pause();
    }
  }

  async #restore(destination: ForeignMachine): Promise<void> {
    await this.#unlessRefused('destination', destination, 'migrate-incoming', { uri: this.#plan.uri });
    for (;;) {
      this.#hooks.onProgress({ phase: 'restoring', elapsedMs: this.#recording.elapsedMs });
      const { info } = await destination.link.migration();
      const runState = await destination.link.runState();
      if (info.status === 'failed')
        throw new PairError('FAILED', info['error-desc'] ?? 'The stream could not be loaded');
      if (info.status === 'completed' && runState !== 'inmigrate') {
        // Saved while it ran, and restored to a machine that was to start nothing by itself: that was the user's wish
        // unless the move is one.
        if (runState === 'paused' && this.#guestRan && this.#source !== undefined)
          await destination.link.execute('cont');
        return;
      }
      await this.#pause();
    }
  }

  async #sampleUntil(signal: AbortSignal): Promise<void> {
    const source = this.#source;
    while (source !== undefined && !signal.aborted) {
      await this.#look(source).catch(() => undefined); // no answer this time: the next one tells
      await sleep(SAMPLE_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #look(source: ForeignMachine): Promise<MigrateReply> {
    const { info } = await source.link.migration();
    const destination = await this.#destination?.link.migration().catch(() => null);
    this.#recording.sample(info, destination?.info ?? null, this.#limits);
    // Held, it waits for somebody's word.
    if (info.status !== 'pre-switchover' && this.#watchdog.isStuck(info, performance.now()))
      this.#stuck.abort(new StuckError());
    this.#hooks.onProgress({
      phase: 'migrating',
      migration: sampleOf(info, this.#limits.downtimeLimitMs),
      expectedDowntimeMs: info['expected-downtime'],
      elapsedMs: this.#recording.elapsedMs,
    });
    return info;
  }

  async #pause(): Promise<void> {
    await sleep(SAMPLE_INTERVAL_MS, undefined, { signal: this.#hooks.signal });
  }

  // ---- ends

  /** Turns whatever ended the move into what the user is told; a cancel is carried out first. */
  async #explain(error: unknown): Promise<PairError> {
    if (!this.#begun) {
      if (error instanceof PairError) return error;
      const cancelled = this.#hooks.signal.aborted;
      return new PairError(
        cancelled ? 'CANCELLED' : 'FAILED',
        cancelled ? 'cancelled before the migration began' : reasonOf(error),
        { cause: error },
      );
    }
    if (this.#hooks.signal.aborted) return await this.#cancelled(error);
    // It goes on by itself where nobody drives it: not without the user's knowing.
    if (!(error instanceof PairError) && this.#source !== undefined) await untilStill(this.#source.link);
    const where = await this.#where();
    if (error instanceof PairError && error.code === 'CANCELLED') {
      await this.#finish('cancelled', null, where);
      return new PairError('CANCELLED', `cancelled. ${where.sentence}`, { cause: error, result: await this.#result() });
    }
    return await this.#failure(`${withStop(reasonOf(error))} ${where.sentence}`, where, error);
  }

  async #cancelled(cause: unknown): Promise<PairError> {
    this.#hooks.onProgress({ phase: 'cancelling' });
    const [source, destination] = [this.#source, this.#destination];
    if (source !== undefined) await untilStill(source.link);
    const reply = await source?.link.migration().catch(() => undefined);
    if (reply?.info.status === 'completed' && source !== undefined && destination !== undefined && !isKept(this.#uri)) {
      // Too late: the guest is on its way, and is not left without a word.
      const signal = AbortSignal.timeout(deadlines.takeover + deadlines.takeoverAfterCont);
      await handOver(
        { source: source.link, destination: destination.link },
        { guestRan: this.#guestRan, signal },
      ).catch(() => undefined);
    }
    const where = await this.#where();
    const moved = where.guest === 'destination';
    await this.#finish(moved ? 'completed' : 'cancelled', null, where);
    const sentence = `${moved ? 'too late to cancel' : 'cancelled'}. ${where.sentence}`;
    return new PairError('CANCELLED', sentence, { cause, result: await this.#result() });
  }

  async #failure(message: string, where: Whereabouts, cause?: unknown): Promise<PairError> {
    await this.#finish(where.guest === 'unknown' ? 'lost-contact' : 'failed', plainText(message, 1000), where);
    return new PairError('FAILED', message, { cause, result: await this.#result() });
  }

  async #finish(
    outcome: 'completed' | 'failed' | 'cancelled' | 'lost-contact',
    error: string | null,
    where: Whereabouts,
  ): Promise<void> {
    await this.#recording.finish(outcome, error, where, await recordOf(this.#source));
  }

  #where(): Promise<Whereabouts> {
    return whereIsTheGuest(this.#ends, this.#uri);
  }

  async #result(): Promise<PairResult> {
    return {
      uri: this.#uri,
      events: this.#recording.events,
      source: await recordOf(this.#source),
      destination: await recordOf(this.#destination),
    };
  }
}
