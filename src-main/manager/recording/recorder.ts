// SPDX-License-Identifier: Apache-2.0
/**
 * Records one run while it happens. Whoever drives a migration tells it things and goes on at once: nothing here throws,
 * and only finish() is waited for, for a bounded time. What cannot be written is kept and tried again.
 */
import type { RecordedRun, RunEvent, RunSample } from '../../../src-shared/run.ts';
import { StoreError } from '../store/store-error.ts';
import type { RunChange } from '../store/types.ts';
import type { Store } from '../store/store.ts';

type Ending = RunChange & Pick<RecordedRun, 'outcome' | 'endedAt'>;

export interface RunRecorder {
  readonly runId: string;
  /** All that it was told, its end included, is in the file. */
  readonly isWhole: boolean;
  sample(sample: RunSample): void;
  /** Gives the event its number and answers it. */
  event(event: Omit<RunEvent, 'seq'>): RunEvent;
  update(change: RunChange): void;
  /** The end. Resolves when all is written, or when that took too long and was told. */
  finish(change: Ending): Promise<void>;
}

export interface RecorderOptions {
  /** The store, or its opening. */
  readonly store: Store | Promise<Store>;
  /** Told once for each kind of problem: a sentence for users. */
  readonly onProblem: (sentence: string) => void;
  /** Milliseconds between two batches. */
  readonly flushEveryMs?: number;
  /** Milliseconds that finish() waits at most. */
  readonly finishWithinMs?: number;
}

const FLUSH_EVERY_MS = 500;
const FINISH_WITHIN_MS = 3000;
/** After a failed write. */
const RETRY_AFTER_MS = 1000;
/** Of finish(), between two attempts. */
const LOOK_AGAIN_MS = 20;
/** 33 minutes at 10 Hz, and more events than a run has: beyond it the oldest that are not written yet are dropped. */
const MAX_WAITING = 20_000;

/** Kept in memory only, not valid, dropped. */
const FINAL_PROBLEMS: readonly string[] = ['STORE', 'INVALID', 'DROPPED'];

/** Begins the record of a run. The first write is on its way when this returns. */
export function recordRun(run: RecordedRun, options: RecorderOptions): RunRecorder {
  return new StoreRecorder(run, options);
}

class StoreRecorder implements RunRecorder {
  readonly runId: string;
  readonly #options: RecorderOptions;
  readonly #run: RecordedRun;
  readonly #told = new Set<string>();
  /** Of the kinds that were told, those that time does not heal. */
  readonly #lost = new Set<string>();
  #begun = false;
  #seq = 0;
  #samples: RunSample[] = [];
  #events: RunEvent[] = [];
  #change: RunChange = {};
  #ending: Ending | undefined;
  #finished = false;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;

  constructor(run: RecordedRun, options: RecorderOptions) {
    this.runId = run.id;
    this.#run = run;
    this.#options = options;
    this.#schedule(0);
  }

  get isWhole(): boolean {
    return this.#finished && this.#lost.size === 0;
  }

  sample(sample: RunSample): void {
    this.#samples.push(sample);
    this.#dropOldest(this.#samples);
    this.#schedule(this.#options.flushEveryMs ?? FLUSH_EVERY_MS);
  }

  event(event: Omit<RunEvent, 'seq'>): RunEvent {
    this.#seq += 1;
    const numbered = { seq: this.#seq, ...event };
    this.#events.push(numbered);
    this.#dropOldest(this.#events);
    this.#schedule(this.#options.flushEveryMs ?? FLUSH_EVERY_MS);
    return numbered;
  }

  update(change: RunChange): void {
    this.#change = { ...this.#change, ...change };
    this.#schedule(this.#options.flushEveryMs ?? FLUSH_EVERY_MS);
  }

  async finish(change: Ending): Promise<void> {
    this.#ending = change;
    const began = performance.now();
    const within = this.#options.finishWithinMs ?? FINISH_WITHIN_MS;
    for (;;) {
      const left = within - (performance.now() - began);
      await settledWithin(this.#flush(), Math.max(0, left));
      if (this.#finished) return;
      if (left <= 0) {
        this.#tell('TIMEOUT', 'the end of this run is not recorded: the history could not be written in time');
        clearTimeout(this.#timer);
        return;
      }
      await wait(Math.min(left, LOOK_AGAIN_MS)); // the flush that was under way knew nothing of the end
    }
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#finished) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#flush();
    }, delayMs);
    this.#timer.unref(); // what is recorded keeps nobody from ending
  }

  /** One flush at a time: a slow disk makes batches larger, never a queue longer. */
  #flush(): Promise<void> {
    this.#flushing ??= this.#write().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #write(): Promise<void> {
    // An end that comes while rows are being written waits for the next flush: more rows may have come before it.
    const ending = this.#ending;
    try {
      const store = await this.#options.store;
      if (!this.#begun) {
        await store.beginRun(this.#run);
        this.#begun = true;
        // The write went well and the problem stands: it went into memory.
        if (store.problem !== null) this.#tell('STORE', `this run is not recorded: ${store.problem}`);
      }
      await this.#writeEvents(store);
      await this.#writeSamples(store);
      await this.#writeChange(store, ending);
    } catch (error) {
      const code = error instanceof StoreError ? error.code : 'FAILED';
      this.#tell(code, `this run is not recorded: ${error instanceof Error ? error.message : String(error)}`);
      // The promise of a store that could not be opened never gets better.
      if (code !== 'CLOSED') this.#schedule(RETRY_AFTER_MS);
    }
  }

  async #writeEvents(store: Store): Promise<void> {
    const batch = this.#events.slice();
    if (batch.length === 0) return;
    await this.#unlessInvalid(store.appendEvents(this.runId, batch));
    this.#events = this.#events.filter(({ seq }) => seq > (batch.at(-1)?.seq ?? 0));
  }

  async #writeSamples(store: Store): Promise<void> {
    const batch = this.#samples;
    if (batch.length === 0) return;
    this.#samples = [];
    try {
      await this.#unlessInvalid(store.appendSamples(this.runId, batch));
    } catch (error) {
      this.#samples = [...batch, ...this.#samples];
      throw error;
    }
  }

  async #writeChange(store: Store, ending: Ending | undefined): Promise<void> {
    const change = this.#change;
    const hasChange = Object.keys(change).length > 0;
    if (ending !== undefined) {
      await this.#unlessInvalid(store.finishRun(this.runId, { ...change, ...ending }));
      this.#finished = true;
      clearTimeout(this.#timer);
    } else if (hasChange) {
      await this.#unlessInvalid(store.updateRun(this.runId, change));
      // A newer value of the same member came meanwhile: it waits for the next flush.
      this.#change = Object.fromEntries(
        Object.entries(this.#change).filter(([key, value]) => change[key as keyof RunChange] !== value),
      );
    }
  }

  /** What is not of its schema never will be: told, and dropped. */
  async #unlessInvalid(write: Promise<unknown>): Promise<void> {
    try {
      await write;
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'INVALID') throw error;
      this.#tell('INVALID', `a part of this run is not recorded: ${error.message}`);
    }
  }

  #dropOldest(rows: unknown[]): void {
    if (rows.length <= MAX_WAITING) return;
    rows.shift();
    this.#tell('DROPPED', 'a part of this run is not recorded: the history could not be written for too long');
  }

  #tell(kind: string, sentence: string): void {
    if (FINAL_PROBLEMS.includes(kind)) this.#lost.add(kind);
    if (this.#told.has(kind)) return;
    this.#told.add(kind);
    this.#options.onProblem(sentence);
  }
}

const wait = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });

/** Waits for the promise, and no longer than `ms`; leaves no timer behind that would hold a process that is done. */
async function settledWithin(promise: Promise<void>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  try {
    await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
