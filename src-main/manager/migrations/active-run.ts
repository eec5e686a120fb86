// SPDX-License-Identifier: Apache-2.0
/** One migration while it is under way: drives both ends by QMP, samples them, and says where the guest is. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallError } from '../../../src-shared/call-error.ts';
import type { MachineSettings } from '../../../src-shared/machine-view.ts';
import { controlsFor, type Control } from '../../../src-shared/migration/controls.ts';
import { isMigrationStatus, type MigrationStatus } from '../../../src-shared/migration/status.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import type { MigrationSettings } from '../../../src-shared/profile.ts';
import type {
  DestinationRequest,
  RecordedRun,
  RunEvent,
  RunOutcome,
  RunSample,
  RunView,
  Whereabouts,
} from '../../../src-shared/run.ts';
import { QmpError } from '../../control/protocol.ts';
import { SAMPLE_INTERVAL_MS } from '../deadlines.ts';
import type { MachineEvent } from '../machines/link.ts';
import type { LiveMachine } from '../machines/live-machine.ts';
import { machineEvent } from '../recording/event-text.ts';
import type { RunRecorder } from '../recording/recorder.ts';
import { runSampleOf } from '../recording/sampler.ts';
import type { MoveRoute } from './move-route.ts';
import { reasonOf, SourceLostError, withStop } from './run-errors.ts';
import { limitWords, readLimits, type RunLimits } from './run-limits.ts';
import { setCapabilities } from './run-route.ts';
import type { SaveRoute } from './save-route.ts';
import { phaseSentence } from './sentences.ts';
import { timeline, type Mark, type StepId } from './timeline.ts';
import { untilStill } from './until-still.ts';
import { NO_PROCESS } from './whereabouts.ts';

export interface ActiveRunPlan {
  readonly machineId: string;
  readonly settings: MachineSettings;
  readonly source: LiveMachine;
  readonly route: MoveRoute | SaveRoute;
  readonly request: DestinationRequest;
  readonly labels: { readonly source: string; readonly destination: string };
  readonly profileName: string;
  readonly migration: MigrationSettings;
  /** Milliseconds that preflight and the destination's start took. */
  readonly preparedInMs: number;
}

export interface ActiveRunHooks {
  readonly onChange: (view: RunView) => void;
  readonly onSample: (index: number, sample: RunSample) => void;
  readonly onEvent: (event: RunEvent) => void;
  readonly record: (run: RecordedRun) => RunRecorder;
  /** The guest runs at the destination, and both ends agree, or it is in the file: what becomes of the processes. */
  readonly onMoved: () => Promise<void>;
  /** It stayed, which the source says itself or which the end of the destination's process proves. */
  readonly onStayed: () => Promise<void>;
  /** An end does not answer, and it may be the one that has the guest: neither process may be ended. */
  readonly onUnknown: () => Promise<void>;
}

/** How a run that is over ended. */
interface Ending {
  readonly outcome: Exclude<RunOutcome, 'active' | 'interrupted'>;
  readonly error: string | null;
}

export class ActiveRun {
  readonly id = randomUUID();
  readonly #plan: ActiveRunPlan;
  readonly #hooks: ActiveRunHooks;
  readonly #recorder: RunRecorder;
  readonly #startedAt = new Date().toISOString();
  readonly #beganMs: number;
  readonly #marks: Mark[] = [];
  readonly #abort = new AbortController();
  readonly #unsubscribe: (() => void)[] = [];
  /** The source's attempt is over. */
  #rests = true;
  #samples = 0;
  #sample: RunSample | null = null;
  #status: MigrationStatus = 'none';
  #limits: RunLimits = { maxBandwidth: 0, downtimeLimitMs: 300 };
  #cancelling = false;
  #afterwards: 'verify' | 'cleanup' | null = null;
  /** The source was told to migrate. */
  #begun = false;
  #ending: Ending | null = null;
  #endedAt: string | null = null;
  #elapsedAtEnd: number | null = null;
  #totals: Pick<RecordedRun, 'totalTimeMs' | 'downtimeMs'> = { totalTimeMs: null, downtimeMs: null };
  #guestPauseMs: number | null = null;
  #where: Whereabouts;
  readonly finished: Promise<void>;

  constructor(plan: ActiveRunPlan, hooks: ActiveRunHooks) {
    this.#plan = plan;
    this.#hooks = hooks;
    this.#beganMs = performance.now() - plan.preparedInMs;
    const { destination } = plan.route;
    const unknown = { pid: null, answers: true, runState: null, status: null, contactAgeMs: null, sentence: null };
    this.#where = {
      guest: 'source',
      runs: true,
      sentence: `${plan.settings.name} is at the source and runs.`,
      source: { ...unknown, pid: plan.source.process.pid },
      destination: destination === undefined ? NO_PROCESS : { ...unknown, pid: destination.process.pid },
    };
    this.#mark('check', 0);
    this.#mark('setup');
    this.#recorder = hooks.record(this.record());
    this.#subscribe('source', plan.source);
    if (destination !== undefined) this.#subscribe('destination', destination);
    this.finished = this.#drive();
  }

  get status(): MigrationStatus {
    return this.#status;
  }

  /** All of it that is kept. */
  record(): RecordedRun {
    const { controls: _controls, sample: _sample, ...record } = this.view();
    return record;
  }

  view(): RunView {
    const { settings, request, labels, migration, machineId, profileName, route } = this.#plan;
    const outcome = this.#ending?.outcome ?? 'active';
    const sample = this.#sample;
    const elapsedMs = this.#elapsedAtEnd ?? performance.now() - this.#beganMs;
    const end =
      this.#ending === null
        ? null
        : { t: elapsedMs, bytes: sample?.transferredBytes ?? 0, completed: outcome === 'completed' };
    return {
      id: this.id,
      machineId,
      machineName: settings.name,
      sourceLabel: labels.source,
      destinationLabel: labels.destination,
      profileName,
      origin: 'app',
      outcome,
      startedAt: this.#startedAt,
      endedAt: this.#endedAt,
      memoryBytes: settings.memoryBytes,
      ...this.#totals,
      transferredBytes: sample?.transferredBytes ?? null,
      passes: sample === null || sample.pass === 0 ? null : sample.pass,
      error: this.#ending?.error ?? null,
      status: this.#status,
      phase: phaseSentence({
        machineName: settings.name,
        file: route.file,
        status: this.#status,
        outcome,
        pass: sample?.pass ?? 0,
        cancelling: this.#cancelling,
        dirtyRate: sample?.dirtyRate ?? null,
        throughput: sample?.throughput ?? 0,
        afterwards: this.#afterwards,
        error: this.#ending?.error ?? null,
      }),
      settings: migration,
      destination: request,
      uri: route.uri,
      encrypted: false,
      cpus: settings.cpus,
      steps: timeline(this.#marks, end),
      controls: this.#controls(),
      where: this.#where,
      sample,
      elapsedMs,
      guestPauseMs: this.#guestPauseMs,
    };
  }

  // ---- what a user does ----

  async cancel(): Promise<void> {
    this.#allow('cancel');
    this.#cancelling = true;
    this.#tell('user', 'control', 'cancel', 'You cancelled the run.');
    // Before the source was told to migrate it has nothing to cancel, and would go on with what comes: see #begin.
    if (this.#begun) await this.#ask('source', 'migrate_cancel');
    this.#changed();
  }

  async continue(): Promise<void> {
    this.#allow('continue');
    this.#tell('user', 'control', 'continue', 'You let the switchover go on.');
    await this.#ask('source', 'migrate-continue', { state: this.#status });
  }

  async pause(): Promise<void> {
    this.#allow('pause');
    this.#tell('user', 'control', 'pause', 'You paused post-copy.');
    await this.#ask('source', 'migrate-pause');
  }

  async recover(): Promise<void> {
    this.#allow('recover');
    this.#tell('user', 'control', 'recover', 'You asked to recover post-copy.');
    const { route } = this.#plan;
    if (route.destination === undefined) throw new CallError('refused', 'A save to a file is not recovered.');
    const uri = route.recoveryUri();
    await this.#ask('destination', 'migrate-recover', { uri });
    await this.#ask('source', 'migrate', { uri, resume: true });
  }

  async startPostcopy(): Promise<void> {
    this.#allow('startPostcopy');
    this.#tell('user', 'control', 'post-copy', 'You switched to post-copy.');
    await this.#ask('source', 'migrate-start-postcopy');
  }

  async setLimits(change: { readonly maxBandwidth?: number; readonly downtimeLimitMs?: number }): Promise<void> {
    const state = this.#allow('setLimits');
    const { maxBandwidth, downtimeLimitMs } = change;
    if (maxBandwidth === undefined && downtimeLimitMs === undefined) return;
    if (state.limits === 'bandwidth' && downtimeLimitMs !== undefined) {
      throw new CallError('refused', 'In post-copy only the bandwidth can be changed.');
    }
    await this.#ask('source', 'migrate-set-parameters', {
      ...(maxBandwidth !== undefined && { 'max-bandwidth': maxBandwidth }),
      ...(downtimeLimitMs !== undefined && { 'downtime-limit': downtimeLimitMs }),
    });
    const before = this.#limits;
    await this.#readLimits();
    const words = limitWords(before, this.#limits);
    if (words !== '') this.#tell('user', 'change', 'limit', words);
    this.#changed();
  }

  /** Asks both ends now. */
  async where(): Promise<Whereabouts> {
    this.#where = await this.#plan.route.where(this.#status === 'completed');
    return this.#where;
  }

  // ---- the way ----

  async #drive(): Promise<void> {
    let ending: Ending;
    try {
      await this.#begin();
      const sampling = this.#sampleUntilEnd();
      ending = await this.#follow();
      this.#abort.abort();
      await sampling;
    } catch (error) {
      this.#abort.abort();
      ending = { outcome: this.#cancelling ? 'cancelled' : 'failed', error: reasonOf(error) };
      // Not at the end of its attempt, or it cannot be told: an attempt that goes on could still give the guest away.
      this.#rests = await untilStill(this.#plan.source.link);
    }
    await this.#end(ending);
  }

  async #begin(): Promise<void> {
    const { source, route, migration } = this.#plan;
    await setCapabilities([route.destination?.link, source.link], {
      events: true,
      'return-path': route.hasReturnPath,
      ...migration.capabilities,
    });
    if (Object.keys(migration.parameters).length > 0) {
      await source.link.execute('migrate-set-parameters', migration.parameters);
    }
    await this.#readLimits();
    await route.begin();
    this.#begun = true;
    if (this.#cancelling) await source.link.execute('migrate_cancel');
    this.#changed();
  }

  /** Until the guest has moved or stays. */
  async #follow(): Promise<Ending> {
    const { source, route } = this.#plan;
    const died = source.process.exited.then((exit): never => {
      throw new SourceLostError(exit.lastWords);
    });
    died.catch(() => undefined);
    const moved = await Promise.race([route.follow(this.#abort.signal), died]);
    await this.#takeSample().catch(() => undefined);
    if (moved.guest !== 'stayed') return { outcome: 'completed', error: null };
    return { outcome: moved.status, error: moved.status === 'cancelled' ? null : moved.reason };
  }

  async #end(ending: Ending): Promise<void> {
    await this.#readTotals();
    let { outcome, error } = ending;
    this.#mark('verify');
    this.#afterwards = 'verify';
    this.#changed();
    const where = await this.where();
    const { route } = this.#plan;
    if (outcome === 'completed' && where.guest !== route.arrival) {
      outcome = 'lost-contact';
      error = where.sentence;
    } else if (outcome === 'failed' && where.guest === 'file') {
      // It had said so before it was lost.
      [outcome, error] = ['completed', null];
    } else if (outcome === 'failed') {
      if (['source', 'destination', 'nowhere'].includes(where.guest)) error = `${withStop(error)} ${where.sentence}`;
      else outcome = 'lost-contact';
    }
    if (outcome === 'completed') this.#guestPauseMs = await route.guestPauseMs();
    this.#mark('cleanup');
    this.#afterwards = 'cleanup';
    this.#changed();
    try {
      await this.#settle(where.guest);
    } catch (failure) {
      this.#tell('godwit', 'warning', 'cleanup', `The clean-up was not complete: ${reasonOf(failure)}`);
    }
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#afterwards = null;
    this.#elapsedAtEnd = performance.now() - this.#beganMs;
    this.#endedAt = new Date().toISOString();
    this.#ending = { outcome, error };
    this.#tell(
      'godwit',
      outcome === 'completed' || outcome === 'cancelled' ? 'info' : 'error',
      'outcome',
      this.view().phase,
    );
    const { id: _id, origin: _origin, startedAt: _startedAt, ...change } = this.record();
    await this.#recorder.finish({ ...change, outcome, endedAt: this.#endedAt });
  }

  async #settle(guest: Whereabouts['guest']): Promise<void> {
    const { onMoved, onStayed, onUnknown } = this.#hooks;
    if (guest === 'destination' || guest === 'file') await onMoved();
    else if (guest === 'source' && this.#rests) await onStayed();
    else await onUnknown();
  }

  async #sampleUntilEnd(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const next = sleep(SAMPLE_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
      await this.#takeSample().catch(() => undefined); // no answer this time: the next one tells
      await next;
    }
  }

  async #takeSample(): Promise<void> {
    const { source } = this.#plan;
    const { destination } = this.#plan.route;
    const [from, to] = await Promise.all([
      source.link.migration(),
      destination?.link.migration().catch(() => null) ?? null,
    ]);
    const { info } = from;
    if (info.status !== undefined && isMigrationStatus(info.status)) this.#status = info.status;
    const sample = runSampleOf({
      t: performance.now() - this.#beganMs,
      source: info,
      destination: to?.info ?? null,
      previous: this.#sample,
      ...this.#limits,
    });
    this.#sample = sample;
    this.#keepMarks(sample);
    this.#recorder.sample(sample);
    this.#hooks.onSample(this.#samples, sample);
    this.#samples += 1;
    this.#changed();
  }

  /** Passes and phases that no event told, for a peer without them. */
  #keepMarks({ status, pass }: RunSample): void {
    const last = this.#marks.at(-1);
    if (status === 'active' && pass > (last?.pass ?? 0)) this.#mark('pass', undefined, pass);
    if (status === 'pre-switchover' && last?.id !== 'hold') this.#mark('hold');
    if (status === 'device' && last?.id !== 'switchover') this.#mark('switchover');
  }

  #subscribe(side: 'source' | 'destination', machine: LiveMachine): void {
    this.#unsubscribe.push(machine.link.onEvent((event) => this.#heard(side, event)));
  }

  #heard(side: 'source' | 'destination', { name, data, at }: MachineEvent): void {
    this.#hooks.onEvent(this.#recorder.event(machineEvent(side, name, data, Math.max(0, at - this.#beganMs))));
    if (side !== 'source' || this.#afterwards !== null) return;
    if (name === 'MIGRATION_PASS' && typeof data['pass'] === 'number' && data['pass'] > this.#lastPass) {
      this.#mark('pass', undefined, data['pass']);
    }
    if (name === 'STOP' && this.#marks.at(-1)?.id !== 'hold') this.#mark('switchover');
    const status = data['status'];
    if (name === 'MIGRATION' && typeof status === 'string' && isMigrationStatus(status)) {
      this.#status = status;
      if (status === 'pre-switchover') this.#mark('hold');
      if (status === 'device') this.#mark('switchover');
      this.#changed();
    }
  }

  get #lastPass(): number {
    return this.#marks.findLast(({ pass }) => pass !== undefined)?.pass ?? 0;
  }

  #mark(id: StepId, t = performance.now() - this.#beganMs, pass?: number): void {
    if (this.#marks.at(-1)?.id === id && pass === undefined) return;
    const bytes = this.#sample?.transferredBytes ?? 0;
    this.#marks.push({ id, t, bytes, ...(pass !== undefined && { pass }) });
  }

  #controls(): RunView['controls'] {
    if (this.#ending !== null || this.#afterwards !== null) return controlsFor('completed', { postcopyArmed: false });
    const postcopyArmed = this.#plan.migration.capabilities['postcopy-ram'] === true;
    return controlsFor(this.#cancelling ? 'cancelling' : this.#status === 'none' ? 'setup' : this.#status, {
      postcopyArmed,
    });
  }

  #allow(control: Control): { readonly limits?: 'all' | 'bandwidth' | undefined } {
    const state = this.#controls()[control];
    if (state.enabled) return state;
    throw new CallError('refused', state.reason);
  }

  async #ask(end: 'source' | 'destination', command: string, args?: Readonly<Record<string, unknown>>): Promise<void> {
    try {
      const machine = end === 'source' ? this.#plan.source : this.#plan.route.destination;
      await machine?.link.execute(command, args);
    } catch (error) {
      throw new CallError(error instanceof QmpError ? 'refused' : 'failed', reasonOf(error), { cause: error });
    }
  }

  async #readLimits(): Promise<void> {
    this.#limits = await readLimits(this.#plan.source.link);
  }

  async #readTotals(): Promise<void> {
    const info = await this.#plan.source.link.migration().then(
      (reply) => reply.info,
      () => null,
    );
    this.#totals = { totalTimeMs: info?.['total-time'] ?? null, downtimeMs: info?.downtime ?? null };
  }

  #tell(side: RunEvent['side'], level: RunEvent['level'] | 'control', name: string, text: string): void {
    const event = this.#recorder.event({
      t: performance.now() - this.#beganMs,
      side,
      level: level === 'control' ? 'change' : level,
      name,
      text: plainText(text, 1000),
    });
    this.#hooks.onEvent(event);
  }

  #changed(): void {
    this.#hooks.onChange(this.view());
  }
}
