// SPDX-License-Identifier: Apache-2.0
/** Records a demo's migration. Nothing here throws into the demo or keeps it waiting. */
import { randomUUID } from 'node:crypto';
import { machineEvent } from '../recording/event-text.ts';
import { recordRun } from '../recording/recorder.ts';
import type { RunRecorder } from '../recording/recorder.ts';
import { runSampleOf } from '../recording/sampler.ts';
import type { RunSample } from '../../../src-shared/run.ts';
import type { MigrateReply } from '../machines/replies.ts';
import type { Store } from '../store/store.ts';
import { demoEnding, demoRun } from './record.ts';
import type { DemoFailure, EndRecords } from './record.ts';
import { DemoError } from './types.ts';
import type { DemoOptions, DemoResult, Side, SidedEvent } from './types.ts';

export interface DemoBeginning {
  readonly uri: string;
  readonly pids: Readonly<Record<Side, number>>;
  /** Grows while the demo runs. */
  readonly events: readonly SidedEvent[];
  readonly downtimeLimitMs: number;
}

export interface DemoRecordingOptions {
  readonly store: Promise<Store>;
  readonly onProblem: (sentence: string) => void;
}

export class DemoRecording {
  readonly #options: DemoOptions;
  readonly #with: DemoRecordingOptions;
  #begun: (DemoBeginning & { readonly at: number }) | undefined;
  #recorder: RunRecorder | undefined;
  #ends: EndRecords | undefined;
  #eventsTaken = 0;
  #last: RunSample | null = null;
  #written: Promise<void> = Promise.resolve();

  constructor(options: DemoOptions, recordingOptions: DemoRecordingOptions) {
    this.#options = options;
    this.#with = recordingOptions;
  }

  /** The id of the run that is in the history, whole; undefined where there is none. */
  get recordedId(): string | undefined {
    return this.#recorder?.isWhole === true ? this.#recorder.runId : undefined;
  }

  /** `migrate` is about to be sent: the run's time begins. */
  begin(beginning: DemoBeginning): void {
    this.#begun = { ...beginning, at: performance.now() };
    this.#recorder = recordRun(demoRun(randomUUID(), new Date().toISOString(), this.#options, beginning), this.#with);
  }

  /** One look at both ends. */
  sample(source: MigrateReply, destination: MigrateReply | null): void {
    if (this.#begun === undefined || this.#recorder === undefined) return;
    const t = performance.now() - this.#begun.at;
    const { downtimeLimitMs } = this.#begun;
    this.#last = runSampleOf({ t, source, destination, previous: this.#last, downtimeLimitMs, maxBandwidth: 0 });
    this.#recorder.sample(this.#last);
    this.#takeEvents();
  }

  /** What both ends answered last, where the result will not hold it; null: no answer. */
  ends(source: EndRecords['source'], destination: EndRecords['destination']): void {
    this.#ends = { source, destination };
  }

  /** A verified demo. */
  end(result: DemoResult): void {
    this.#finish(result, undefined);
  }

  /** Whatever ended it otherwise. */
  fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof DemoError ? error.code : 'FAILED';
    this.#finish(error instanceof DemoError ? error.result : undefined, { code, message });
  }

  /** Waits, for a bounded time, until all is written. */
  async written(): Promise<void> {
    await this.#written;
  }

  #finish(result: DemoResult | undefined, failure: DemoFailure | undefined): void {
    if (this.#begun === undefined || this.#recorder === undefined) return;
    this.#takeEvents();
    const elapsedMs = performance.now() - this.#begun.at;
    const { pids } = this.#begun;
    const ends = result ?? this.#ends ?? { source: null, destination: null };
    const ending = demoEnding({
      ends,
      guestPauseMs: failure === undefined ? (result?.guest.longestPauseMs ?? null) : null,
      failure,
      pids,
      elapsedMs,
      last: this.#last,
      endedAt: new Date().toISOString(),
    });
    this.#recorder.event({
      t: elapsedMs,
      side: 'godwit',
      level: ending.outcome === 'completed' ? 'info' : 'error',
      name: 'outcome',
      text: ending.phase,
    });
    this.#written = this.#recorder.finish(ending);
  }

  #takeEvents(): void {
    if (this.#begun === undefined) return;
    const { events, at } = this.#begun;
    for (const event of events.slice(this.#eventsTaken)) {
      // What came before `migrate` (the destination listens) is told as of its beginning.
      this.#recorder?.event(machineEvent(event.side, event.name, event.data, Math.max(0, event.at - at)));
    }
    this.#eventsTaken = events.length;
  }
}
