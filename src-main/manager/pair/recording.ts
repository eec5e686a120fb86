// SPDX-License-Identifier: Apache-2.0
/** What is heard and seen of one move between foreign machines, and the record that is kept of it. */
import { randomUUID } from 'node:crypto';
import { plainText } from '../../../src-shared/plain-text.ts';
import type { RecordedRun, RunSample, Whereabouts } from '../../../src-shared/run.ts';
import type { MachineEvent } from '../machines/link.ts';
import type { MigrateReply } from '../machines/replies.ts';
import type { RunLimits } from '../migrations/run-limits.ts';
import type { Mark } from '../migrations/timeline.ts';
import { machineEvent } from '../recording/event-text.ts';
import type { RunRecorder } from '../recording/recorder.ts';
import { runSampleOf } from '../recording/sampler.ts';
import type { ForeignMachine } from './foreign-machine.ts';
import { pairEnding, pairRun, type RecordEnding } from './record.ts';
import type { EndRecord, PairEvent, PairPlan, Side } from './types.ts';

export type BeginRecord = (run: RecordedRun) => RunRecorder;

export class PairRecording {
  readonly events: PairEvent[] = [];
  readonly #beginRecord: BeginRecord;
  readonly #marks: Mark[] = [{ id: 'setup', t: 0, bytes: 0 }];
  #recorder: RunRecorder | undefined;
  #beganMs = performance.now();
  #heardBefore = 0;
  #sample: RunSample | null = null;

  constructor(beginRecord: BeginRecord) {
    this.#beginRecord = beginRecord;
  }

  /** Milliseconds since the attempt began. */
  get elapsedMs(): number {
    return performance.now() - this.#beganMs;
  }

  /** The source is about to be asked: times count from here. */
  attempt(): void {
    this.#beganMs = performance.now();
    this.#heardBefore = this.events.length;
  }

  /** The source has agreed: there is something to keep. */
  begin(plan: PairPlan, uri: string, source: ForeignMachine, destination: ForeignMachine | undefined): void {
    const { identity, label } = source;
    const recorder = this.#beginRecord(
      pairRun(plan, {
        id: randomUUID(),
        startedAt: new Date().toISOString(),
        name: identity.name ?? 'guest',
        labels: { source: plainText(label, 200), destination: plainText(destination?.label ?? uri, 200) },
        memoryBytes: identity.memoryBytes ?? 0,
        uri: plainText(uri, 1000),
      }),
    );
    for (const { side, name, data, t } of this.events.slice(this.#heardBefore)) {
      recorder.event(machineEvent(side, name, data, t));
    }
    this.#recorder = recorder;
  }

  heard(side: Side, { name, data, at }: MachineEvent): void {
    const t = Math.max(0, at - this.#beganMs);
    this.events.push({ side, name, data, t });
    this.#recorder?.event(machineEvent(side, name, data, t));
    if (side !== 'source') return;
    const bytes = this.#sample?.transferredBytes ?? 0;
    if (name === 'STOP') this.#marks.push({ id: 'switchover', t, bytes });
    if (name === 'MIGRATION_PASS' && typeof data['pass'] === 'number') {
      this.#marks.push({ id: 'pass', t, bytes, pass: data['pass'] });
    }
  }

  sample(source: MigrateReply, destination: MigrateReply | null, limits: RunLimits): void {
    this.#sample = runSampleOf({ t: this.elapsedMs, source, destination, previous: this.#sample, ...limits });
    this.#recorder?.sample(this.#sample);
  }

  /** Resolves when all is written; without a record at once. */
  async finish(
    outcome: RecordEnding['outcome'],
    error: string | null,
    where: Whereabouts,
    source: EndRecord,
  ): Promise<void> {
    const ending = pairEnding({
      outcome,
      error,
      where,
      source,
      last: this.#sample,
      marks: this.#marks,
      elapsedMs: this.elapsedMs,
      endedAt: new Date().toISOString(),
    });
    await this.#recorder?.finish(ending);
  }
}
