// SPDX-License-Identifier: Apache-2.0
/**
 * The manager's side of the commit rule, for any pair of machines. Between two Godwits the ends agree by themselves; a
 * stock QEMU at either end knows no such agreement. Started paused, a destination runs nothing until it is told to, and
 * it is told when the source has said `completed`: from then on the source never runs the guest by itself.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { plainText } from '../../src-shared/plain-text.ts';
import { ownership, type DestinationPhase, type SourcePhase } from '../../src-shared/migration/ownership.ts';
import { QmpConnectionError } from '../control/client.ts';
import { deadlines, SAMPLE_INTERVAL_MS } from './deadlines.ts';
import type { MachineEvent } from './machines/link.ts';
import type { MigrateReply } from './machines/replies.ts';

/** What is asked of an end, and said to it; a MachineLink has it all. */
export interface HandOverEnd {
  migration(): Promise<{ readonly info: MigrateReply }>;
  runState(): Promise<string>;
  execute(name: string): Promise<unknown>;
  /** Answers the function that ends it. */
  onEvent(listener: (event: MachineEvent) => void): () => void;
}

/** Where the guest is when the attempt is over. */
export type HandOver =
  | { readonly guest: 'moved'; readonly destinationRunState: string }
  | { readonly guest: 'stayed'; readonly status: 'failed' | 'cancelled'; readonly reason: string };

/** The source has let go of the guest, and the destination has not got it. The sentence says where it can be run. */
export class HandOverError extends Error {
  readonly code = 'HAND_OVER';
  override readonly name = 'HandOverError';
}

/** What both ends say of themselves. */
export interface HandOverFacts {
  /** `status` of the source's query-migrate. */
  readonly sourceStatus: string | undefined;
  readonly sourceRunState: string;
  /** Run state of the destination; `gone` when its control connection is lost. */
  readonly destinationRunState: string;
  /** Whether the guest ran when the migration was asked for. */
  readonly guestRan: boolean;
}

/** `cont` goes to the destination. */
export type HandOverStep = 'wait' | 'cont' | 'moved' | 'stayed' | 'destination-gone';

/** The next step. Pure; the table of ownership decides who may run the guest. */
export function nextStep(facts: HandOverFacts): HandOverStep {
  const source = sourcePhaseOf(facts.sourceStatus, facts.sourceRunState);
  const destination = destinationPhaseOf(facts.destinationRunState);
  if (source === 'returned') return 'stayed';
  if (source !== 'handed-over') return 'wait';
  if (destination === 'gone') return 'destination-gone';
  if (ownership(source, destination).runs === 'destination') return 'moved';
  // Neither end runs it. A guest that was stopped stays so; one that still loads takes the word for when it has loaded.
  if (facts.guestRan) return 'cont';
  return destination === 'loading' ? 'wait' : 'moved';
}

/** The source's phase, as far as QEMU's words tell it. */
export function sourcePhaseOf(status: string | undefined, runState: string): SourcePhase {
  if (status === 'completed') return 'handed-over';
  if (status === 'failed' || status === 'cancelled') return 'returned';
  return runState === 'finish-migrate' ? 'stopped' : 'copying';
}

/** The destination's phase, as far as QEMU's words tell it: a run state other than these two is that of a loaded guest. */
export function destinationPhaseOf(runState: string): DestinationPhase {
  if (runState === 'gone') return 'gone';
  if (runState === 'inmigrate') return 'loading';
  return runState === 'running' ? 'owner' : 'waiting';
}

/**
 * Watches a migration that was started (or is about to be) until the guest has moved or stays, and starts it at the
 * destination when it is that one's. Sets no limit to the migration itself: the signal does. Rejects with a
 * {@link HandOverError} when the source has let go and the destination does not take over.
 */
export async function handOver(
  ends: { readonly source: HandOverEnd; readonly destination: HandOverEnd },
  { guestRan, signal }: { readonly guestRan: boolean; readonly signal: AbortSignal },
): Promise<HandOver> {
  const { source, destination } = ends;
  const bell = new Bell(source);
  let toldAt: number | undefined;
  let releasedAt: number | undefined;
  try {
    for (;;) {
      signal.throwIfAborted();
      const heard = bell.next(signal);
      const { info } = await source.migration();
      const released = info.status === 'completed';
      const facts = {
        sourceStatus: info.status,
        sourceRunState: await source.runState(),
        destinationRunState: released ? await runStateOrGone(destination) : 'inmigrate',
        guestRan,
      };
      const step = nextStep(facts);
      if (released) releasedAt ??= performance.now();
      if (step === 'moved') return { guest: 'moved', destinationRunState: facts.destinationRunState };
      if (step === 'stayed') return stayed(info);
      if (step === 'destination-gone') throw goneAfterCompletion();
      if (step === 'cont' && toldAt === undefined) {
        await destination.execute('cont');
        toldAt = performance.now();
        continue;
      }
      if (releasedAt !== undefined && performance.now() - releasedAt > deadlines.takeoverAfterCont) {
        throw notTaken(facts.destinationRunState);
      }
      await heard;
    }
  } finally {
    bell.close();
  }
}

/** Rings on the source's MIGRATION events, where it sends them, and else at intervals. */
class Bell {
  readonly #unsubscribe: () => void;
  #ring = Promise.withResolvers<void>();

  constructor(source: HandOverEnd) {
    this.#unsubscribe = source.onEvent(({ name }) => {
      if (name !== 'MIGRATION') return;
      this.#ring.resolve();
      this.#ring = Promise.withResolvers<void>();
    });
  }

  /** To be asked for before one looks, so that an event in between is not missed. */
  async next(signal: AbortSignal): Promise<void> {
    const late = new AbortController();
    const interval = sleep(SAMPLE_INTERVAL_MS, undefined, { signal: AbortSignal.any([signal, late.signal]) });
    await Promise.race([this.#ring.promise, interval.catch(() => undefined)]);
    late.abort();
  }

  close(): void {
    this.#unsubscribe();
    this.#ring.resolve();
  }
}

async function runStateOrGone(end: HandOverEnd): Promise<string> {
  try {
    return await end.runState();
  } catch (error) {
    if (error instanceof QmpConnectionError && error.code !== 'TIMEOUT') return 'gone';
    throw error;
  }
}

function stayed(info: MigrateReply): HandOver {
  const status = info.status === 'cancelled' ? 'cancelled' : 'failed';
  return { guest: 'stayed', status, reason: plainText(info['error-desc'] ?? `the migration ended ${status}`) };
}

function goneAfterCompletion(): HandOverError {
  return new HandOverError(
    "the source reports 'completed', but the destination cannot be asked any more. The source still holds the guest, " +
      "stopped: once it is certain that the destination's process has ended, 'cont' runs it at the source",
  );
}

function notTaken(runState: string): HandOverError {
  const seconds = String(deadlines.takeoverAfterCont / 1000);
  return new HandOverError(
    `the source reports 'completed', but the destination is still ${plainText(runState)} after ${seconds} s. ` +
      "Send 'cont' to the destination, or, once its process has ended, to the source",
  );
}
