// SPDX-License-Identifier: Apache-2.0
/**
 * The source's runner: one object is one attempt to move this machine's guest. Statuses, phases and thresholds are
 * decided by tables and pure functions; this file performs their effects in order and owns the status.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { SocketTarget, Channel, RamSaver } from '../native/index.ts';
import { native } from '../native/index.ts';
import { stepSource, type SourceEvent, type SourcePhase } from '../../../src-shared/migration/ownership.ts';
import type { MigrationStatus } from '../../../src-shared/migration/status.ts';
import { canTransition } from '../../../src-shared/migration/transitions.ts';
import { connectChannel } from './channels/open.ts';
import { codeOf, messageOf, MigrationError } from './errors.ts';
import type { EngineMachine } from './machine-interface.ts';
import { RateLimit } from './rate-limit.ts';
import { ReturnPathReader } from './return-path/source.ts';
import * as wire from './stream/wire.ts';
import * as write from './stream/writer.ts';
import { SwitchoverEstimate } from './switchover.ts';
import { timeouts } from './timeouts.ts';
import { TransferStatistics } from './transfer-statistics.ts';
import { vmdescText } from './vmstate/vmdesc-text.ts';

/** Section ids are labels of one stream; RAM's is the first, devices follow. */
const ramSectionId = 1;
/** Cookie of the PING that ends the greeting: its PONG tells that every earlier answer has arrived. */
const greetingCookie = 1;

/** Parameters that are read again whenever they matter, so that a change acts on a running migration. */
export interface OutgoingParameters {
  /** Bytes per second; 0: unlimited. */
  readonly maxBandwidth: number;
  readonly downtimeLimitMs: number;
  /** Bytes per second; 0: measured. */
  readonly availSwitchoverBandwidth: number;
}

export interface OutgoingOptions {
  readonly machine: EngineMachine;
  readonly target: SocketTarget;
  /** Open the return path: the destination reports its verdict, and two Godwits agree on the commit. */
  readonly returnPath: boolean;
  readonly parameters: () => OutgoingParameters;
  /** Called on every status change, after it. */
  readonly onStatus: (status: MigrationStatus) => void;
  /** Called after every sync of the dirty bitmap with its count. */
  readonly onPass: (pass: number) => void;
}

/** What a cancel request came to. */
export type CancelOutcome = 'accepted' | 'nothing-to-cancel' | 'too-late';

export class OutgoingMigration {
  readonly statistics = new TransferStatistics();
  readonly estimate = new SwitchoverEstimate();
  /** Resolves when the attempt is over and everything it held is released; never rejects. */
  readonly finished: Promise<void>;

  readonly #options: OutgoingOptions;
  readonly #rate = new RateLimit(() => performance.now());
  readonly #interrupt = new AbortController();
  #status: MigrationStatus = 'none';
  #phase: SourcePhase = 'idle';
  #error: MigrationError | undefined;
  #channel: Channel | undefined;
  #saver: RamSaver | undefined;
  #returnPath: ReturnPathReader | undefined;
  #enqueuedBytes = 0;
  /** The destination is a Godwit that waits for GO. */
  #commitOffered = false;
  /** All is sent; the destination may have it and wait for GO. */
  #awaitingVerdict = false;

  constructor(options: OutgoingOptions) {
    this.#options = options;
    this.finished = this.#run();
  }

  get status(): MigrationStatus {
    return this.#status;
  }

  /** Where this end stands in the commit rule. */
  get phase(): SourcePhase {
    return this.#phase;
  }

  /** Why it failed, or what went wrong after the commit. */
  get error(): MigrationError | undefined {
    return this.#error;
  }

  /** Bytes put on the wire by this attempt. */
  get transferredBytes(): number {
    return this.#enqueuedBytes;
  }

  /** Bytes of guest memory that are still dirty. */
  get remainingBytes(): number {
    return (this.#saver?.dirtyPages ?? 0) * wire.TARGET_PAGE_SIZE;
  }

  get totalBytes(): number {
    return this.#options.machine.ramBlocks.reduce((sum, block) => sum + block.sizeBytes, 0);
  }

  /** A limit has changed: acts now instead of at the end of the window. */
  parametersChanged(): void {
    this.#rate.wake();
  }

  /** Asks for the end of this attempt. Accepted until the commit; the guest then stays here. */
  cancel(): CancelOutcome {
    if (this.#phase === 'committed' || this.#phase === 'handed-over') {
      return this.#status === 'completed' ? 'nothing-to-cancel' : 'too-late';
    }
    if (this.#status === 'cancelling') return 'accepted';
    if (!canTransition('source', this.#status, 'cancelling')) return 'nothing-to-cancel';
    this.#setStatus('cancelling');
    this.#stopEverything(new MigrationError('cancelled', 'The migration was cancelled'));
    return 'accepted';
  }

  async #run(): Promise<void> {
    this.#setStatus('setup');
    this.#step('migrate');
    this.statistics.startedAt = performance.now();
    try {
      const channel = await connectChannel(this.#options.target, this.#interrupt.signal);
      this.#channel = channel;
      const saver = await this.#setup(channel);
      await this.#iterate(channel, saver);
      await this.#switchOver(channel, saver);
      await this.#agree(channel);
      this.#complete();
    } catch (error) {
      await this.#unwind(await this.#firstCause(error));
    } finally {
      this.#channel?.close();
      await this.#returnPath?.finished;
      await this.#releaseSaver();
    }
  }

  // --- setup

  async #setup(channel: Channel): Promise<RamSaver> {
    const { machine, returnPath } = this.#options;
    const started = performance.now();
    this.#put(channel, write.header(), write.configuration(machine.machineType));
    if (returnPath) {
      this.#put(channel, write.command(wire.COMMAND_OPEN_RETURN_PATH));
      // A stock peer echoes the hello like any cookie; a Godwit adds its feature bits before the last PONG.
      this.#put(channel, write.ping(wire.GODWIT_HELLO), write.ping(greetingCookie));
      this.#returnPath = new ReturnPathReader(channel, greetingCookie);
      this.#returnPath.failure.catch((error: unknown) => {
        if (error instanceof MigrationError) this.#stopEverything(error);
      });
    }
    const saver = new native.RamSaver(machine.ramBlocks);
    this.#saver = saver;
    await saver.start();
    this.#countSync(0);
    this.#put(
      channel,
      write.sectionStart(wire.SECTION_START, ramSectionId, 'ram', 0, wire.RAM_SECTION_VERSION),
      write.ramSetup(machine.ramBlocks),
      write.ramEndOfSection(),
      write.sectionFooter(ramSectionId),
    );
    this.#throwIfInterrupted();
    this.statistics.setupMs = performance.now() - started;
    this.#setStatus('active');
    this.#rate.startWindow();
    return saver;
  }

  // --- iterations, while the guest runs

  async #iterate(channel: Channel, saver: RamSaver): Promise<void> {
    let writtenAtWindowStart = channel.bytesWritten;
    for (;;) {
      this.#throwIfInterrupted();
      if (this.estimate.worthCounting(this.remainingBytes)) {
        await this.#sync(saver);
        const { downtimeLimitMs } = this.#options.parameters();
        if (this.estimate.decide(this.remainingBytes, performance.now(), downtimeLimitMs) === 'switch-over') return;
      }
      const budget = this.#rate.remainingBytes(this.#options.parameters().maxBandwidth);
      if (budget > 0 && this.#rate.remainingMs() > 0) {
        this.#rate.account(await this.#sendPart(channel, saver, budget));
      } else {
        await this.#rate.waitForWindowEnd(this.#interrupt.signal);
      }
      if (this.#rate.remainingMs() === 0) {
        const written = channel.bytesWritten;
        this.#endWindow(written - writtenAtWindowStart);
        writtenAtWindowStart = written;
      }
    }
  }

  /** One PART section of at most `budget` bytes of records and the rest of the window; the answer counts framing too. */
  async #sendPart(channel: Channel, saver: RamSaver, budget: number): Promise<number> {
    const before = this.#enqueuedBytes;
    this.#put(channel, write.sectionContinue(wire.SECTION_PART, ramSectionId));
    const sent = await saver.send(channel, { bytes: budget, milliseconds: this.#rate.remainingMs() });
    this.statistics.addPages(sent);
    this.#enqueuedBytes += sent.bytes;
    this.#put(channel, write.ramEndOfSection(), write.sectionFooter(ramSectionId));
    this.statistics.precopyBytes += this.#enqueuedBytes - before;
    return this.#enqueuedBytes - before;
  }

  #endWindow(writtenBytes: number): void {
    const { ms } = this.#rate.startWindow();
    const { downtimeLimitMs, availSwitchoverBandwidth } = this.#options.parameters();
    this.statistics.endWindow(writtenBytes, ms);
    this.estimate.update(
      { bytes: writtenBytes, ms },
      { downtimeLimitMs, availSwitchoverBandwidth },
      this.statistics.dirtyBytesAtLastSync,
    );
  }

  async #sync(saver: RamSaver): Promise<void> {
    const { newlyDirtyPages } = await saver.sync();
    this.#countSync(newlyDirtyPages);
  }

  #countSync(newlyDirtyPages: number): void {
    const now = performance.now();
    this.statistics.addSync(now, newlyDirtyPages, this.#saver?.dirtyPages ?? 0);
    this.estimate.addSync(now, newlyDirtyPages * wire.TARGET_PAGE_SIZE);
    this.#options.onPass(this.statistics.syncCount);
  }

  // --- switchover: the guest is stopped, the rest goes out

  async #switchOver(channel: Channel, saver: RamSaver): Promise<void> {
    // A return path's first answers come at once or not at all: without them it is not known who the peer is.
    const features = await this.#returnPath?.features;
    this.#throwIfInterrupted();
    const before = this.#enqueuedBytes;
    this.statistics.stoppedAt = performance.now();
    this.#step('guest-stopped');
    await this.#options.machine.stopForMigration();
    this.#throwIfInterrupted();
    await this.#sync(saver);
    await this.#sendRest(channel, saver);
    await this.#sendDevices(channel);
    this.#commitOffered = features !== undefined && (features & wire.GODWIT_FEATURE_COMMIT) !== 0;
    await channel.flush();
    this.statistics.downtimeBytes = this.#enqueuedBytes - before;
  }

  async #sendRest(channel: Channel, saver: RamSaver): Promise<void> {
    this.#put(channel, write.sectionContinue(wire.SECTION_END, ramSectionId));
    for (let passDone = false; !passDone;) {
      const sent = await saver.send(channel, { bytes: Infinity, milliseconds: Infinity });
      this.statistics.addPages(sent);
      this.#enqueuedBytes += sent.bytes;
      passDone = sent.passDone;
      this.#throwIfInterrupted();
    }
    this.#put(channel, write.ramEndOfSection(), write.sectionFooter(ramSectionId));
  }

  async #sendDevices(channel: Channel): Promise<void> {
    const sections = await this.#options.machine.saveSections();
    sections.forEach((section, index) => {
      const id = ramSectionId + 1 + index;
      this.#put(
        channel,
        write.sectionStart(wire.SECTION_FULL, id, section.idstr, section.instanceId, section.version),
        section.payload,
        write.sectionFooter(id),
      );
    });
    const description = vmdescText(
      wire.TARGET_PAGE_SIZE,
      sections.map((section) => section.description),
    );
    this.#put(channel, write.endOfStream(), write.vmdescription(description));
  }

  // --- the commit rule

  /** Ends with the guest handed over, or throws with the guest still here. */
  async #agree(channel: Channel): Promise<void> {
    const returnPath = this.#returnPath;
    if (returnPath === undefined) {
      // One way: what was written is all that this end will ever know.
      this.#throwIfInterrupted();
      this.#step('handed-over-unconfirmed');
    } else if (this.#commitOffered) {
      this.#awaitingVerdict = true;
      await this.#unlessInterrupted(returnPath.loaded);
      this.#throwIfInterrupted();
      this.#step('loaded');
      await this.#sendGo(channel, returnPath);
    } else {
      await this.#unlessInterrupted(returnPath.shut);
      this.#throwIfInterrupted();
      this.#step('shut');
    }
  }

  /** After the commit nothing fails any more: a lost link leaves the destination waiting for `cont`, loaded. */
  async #sendGo(channel: Channel, returnPath: ReturnPathReader): Promise<void> {
    this.#put(channel, write.command(wire.COMMAND_GODWIT_GO));
    const late = AbortSignal.timeout(timeouts.confirmationAfterCommit);
    const overdue = new Promise<never>((_, reject) => {
      late.addEventListener('abort', () => {
        reject(new MigrationError('link', 'The destination did not confirm that it took over'));
      });
    });
    try {
      await Promise.race([returnPath.shut, overdue]);
      this.#step('shut');
    } catch (error) {
      this.#error = new MigrationError(
        'link',
        `${messageOf(error)}. The guest belongs to the destination; if it is paused there, send 'cont' to it`,
        { cause: error },
      );
    }
  }

  // --- ends

  #complete(): void {
    this.statistics.finish(performance.now(), this.#enqueuedBytes);
    this.#options.machine.leaveAfterMigration();
    this.#setStatus('completed');
  }

  /** A write error often hides the destination's own report, which is on its way: that one explains more. */
  async #firstCause(error: unknown): Promise<MigrationError> {
    const interrupted: unknown = this.#interrupt.signal.reason;
    if (interrupted instanceof MigrationError) return interrupted;
    if (error instanceof MigrationError && error.code !== 'link') return error;
    if (this.#returnPath !== undefined && isLinkError(error)) {
      const reported: unknown = await Promise.race([
        this.#returnPath.failure.catch((failure: unknown) => failure),
        this.#returnPath.finished,
      ]);
      if (reported instanceof MigrationError && reported.code === 'peer') return reported;
    }
    if (error instanceof MigrationError) return error;
    return new MigrationError(isLinkError(error) ? 'link' : 'machine', messageOf(error), { cause: error });
  }

  async #unwind(cause: MigrationError): Promise<void> {
    this.#error = cause;
    this.#saver?.cancel();
    if (this.#awaitingVerdict) await this.#sayFarewell();
    this.#channel?.shutdown();
    const stopped = this.#phase === 'stopped';
    this.#step(cause.code === 'cancelled' ? 'cancel' : cause.code === 'peer' ? 'refused' : 'link-lost');
    await this.#releaseSaver();
    if (stopped) await this.#options.machine.resumeAfterMigration();
    this.#setStatus(this.#status === 'cancelling' ? 'cancelled' : 'failed');
  }

  /** Tells a destination that may hold the whole guest, loaded, that it is not to wait for GO. */
  async #sayFarewell(): Promise<void> {
    const channel = this.#channel;
    if (channel === undefined) return;
    this.#put(channel, write.command(wire.COMMAND_GODWIT_ABANDON));
    await Promise.race([channel.flush().catch(() => undefined), delay(timeouts.farewell)]);
  }

  async #releaseSaver(): Promise<void> {
    const saver = this.#saver;
    this.#saver = undefined;
    if (saver === undefined) return;
    // The guest may be running again: dirty logging must not go on costing it faults.
    await saver.stop().catch((error: unknown) => {
      this.#error ??= new MigrationError('machine', messageOf(error), { cause: error });
    });
    saver.close();
  }

  #stopEverything(reason: MigrationError): void {
    if (this.#interrupt.signal.aborted || this.#phase === 'committed') return;
    this.#interrupt.abort(reason);
    this.#saver?.cancel();
    if (!this.#awaitingVerdict) this.#channel?.shutdown();
    this.#rate.wake();
  }

  async #unlessInterrupted<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.#interrupt;
    const interrupted = Promise.withResolvers<never>();
    const reject = (): void => {
      interrupted.reject(signal.reason as Error);
    };
    signal.addEventListener('abort', reject, { once: true });
    if (signal.aborted) reject();
    try {
      return await Promise.race([promise, interrupted.promise]);
    } finally {
      signal.removeEventListener('abort', reject);
    }
  }

  #throwIfInterrupted(): void {
    this.#interrupt.signal.throwIfAborted();
  }

  #put(channel: Channel, ...parts: Uint8Array[]): void {
    for (const part of parts) {
      channel.enqueue(part);
      this.#enqueuedBytes += part.length;
    }
  }

  #step(event: SourceEvent): void {
    this.#phase = stepSource(this.#phase, event);
  }

  /** The one place that changes the status. */
  #setStatus(status: MigrationStatus): void {
    if (!canTransition('source', this.#status, status)) {
      throw new MigrationError('machine', `internal: migration status ${this.#status} cannot become ${status}`);
    }
    this.#status = status;
    this.#options.onStatus(status);
  }
}

/** Errors of the socket, as opposed to errors of this machine. */
function isLinkError(error: unknown): boolean {
  const code = codeOf(error);
  return (
    code === 'EOF' ||
    code === 'EPIPE' ||
    code === 'ECONNRESET' ||
    code === 'ECONNABORTED' ||
    code === 'ETIMEDOUT' ||
    code === 'ENOTCONN' ||
    code === 'link'
  );
}
