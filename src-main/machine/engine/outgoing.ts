// SPDX-License-Identifier: Apache-2.0
/**
 * The source's runner: one object is one attempt to move this machine's guest. Statuses, phases and thresholds are
 * decided by tables and pure functions; this file performs their effects in order and owns the status.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { RamSaver } from '../native/index.ts';
import { native } from '../native/index.ts';
import { stepSource, type SourceEvent, type SourcePhase } from '../../../src-shared/migration/ownership.ts';
import type { StreamDialect } from '../../../src-shared/migration/peer-release.ts';
import type { MigrationStatus } from '../../../src-shared/migration/status.ts';
import { canTransition } from '../../../src-shared/migration/transitions.ts';
import { openOutgoing, type OutgoingChannel } from './channels/open.ts';
import type { ChannelTarget } from './channels/target.ts';
import { codeOf, messageOf, MigrationError } from './errors.ts';
import type { EngineMachine } from './machine-interface.ts';
import { OutgoingStream } from './outgoing-stream.ts';
import { Precopy, type PrecopyParameters } from './precopy.ts';
import { ReturnPathReader } from './return-path/source.ts';
import * as wire from './stream/wire.ts';
import * as write from './stream/writer.ts';
import { SwitchoverEstimate } from './switchover.ts';
import { timeouts } from './timeouts.ts';
import { TransferStatistics } from './transfer-statistics.ts';

/** Cookie of the PING that ends the greeting: its PONG tells that every earlier answer has arrived. */
const greetingCookie = 1;

export interface OutgoingOptions {
  readonly machine: EngineMachine;
  /** Where to connect to; an error is what the attempt fails with, as a name that cannot be resolved does. */
  readonly target: ChannelTarget | MigrationError;
  /** Open the return path: the destination reports its verdict, and two Godwits agree on the commit. */
  readonly returnPath: boolean;
  /** Stop the guest before anything is copied (mode cpr-reboot). */
  readonly stopFirst: boolean;
  /** Wait for the destination's SWITCHOVER_ACK before a running guest is stopped (switchover-ack). */
  readonly switchoverAck: boolean;
  /** Send the machine's UUID for the destination to compare (validate-uuid). */
  readonly validateUuid: boolean;
  /** Announce x-ignore-shared: guest physical addresses travel with the block list. */
  readonly ignoreShared: boolean;
  /** Give the memory back to the kernel once the destination has confirmed that it has the guest (release-ram). */
  readonly releaseRam: boolean;
  /** Hold with the guest stopped before the last pass, until continue() (pause-before-switchover). */
  readonly pauseBeforeSwitchover: boolean;
  /** What the stream looks like. */
  readonly dialect: StreamDialect;
  readonly parameters: () => PrecopyParameters;
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
  readonly #interrupt = new AbortController();
  #status: MigrationStatus = 'none';
  #phase: SourcePhase = 'idle';
  #error: MigrationError | undefined;
  #out: OutgoingChannel | undefined;
  #stream: OutgoingStream | undefined;
  #saver: RamSaver | undefined;
  #precopy: Precopy | undefined;
  #returnPath: ReturnPathReader | undefined;
  /** The destination is a Godwit that waits for GO. */
  #commitOffered = false;
  /** All is sent; the destination may have it and wait for GO. */
  #awaitingVerdict = false;
  readonly #released = Promise.withResolvers<void>();
  readonly #closing = Promise.withResolvers<void>();

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
    return this.#stream?.bytes ?? 0;
  }

  /** Bytes of guest memory that are still dirty. */
  get remainingBytes(): number {
    return this.#precopy?.remainingBytes ?? 0;
  }

  get totalBytes(): number {
    return this.#options.machine.ramBlocks.reduce((sum, block) => sum + block.sizeBytes, 0);
  }

  /** A limit has changed: acts now instead of at the end of the window. */
  parametersChanged(): void {
    this.#precopy?.wake();
  }

  /** Ends the hold before the switchover; without one it has no effect. */
  continue(): void {
    if (this.#status === 'pre-switchover') this.#released.resolve();
  }

  /** Threads of this attempt, as query-migrationthreads lists them. */
  get threads(): readonly { readonly name: string; readonly threadId: number }[] {
    const threadId = this.#stream?.channel.writerThreadId ?? 0;
    return threadId === 0 ? [] : [{ name: 'live_migration', threadId }];
  }

  /** Cuts the link, as a lost one does: whoever yanks wants a hanging connection to fail. */
  yank(): void {
    this.#stream?.channel.shutdown();
    if (this.#stream === undefined) this.#stopEverything(new MigrationError('link', 'The connection was yanked'));
  }

  /** The process ends: a command that was given all of the guest is not waited for any more. */
  async close(): Promise<void> {
    this.cancel();
    this.#closing.resolve();
    await this.finished;
  }

  /** Asks for the end of this attempt. Accepted until the commit; the guest then stays here. */
  cancel(): CancelOutcome {
    const nobodyThere = this.#out?.nobodyThere === true;
    const oneWayOut =
      this.#phase === 'stopped' && !this.#options.returnPath && !nobodyThere && this.#stream?.stateWritten === true;
    if (this.#phase === 'committed' || this.#phase === 'handed-over' || oneWayOut) {
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
      const out = await this.#connect();
      this.#out = out;
      const stream = new OutgoingStream(out.channel, this.#options.machine.streamForm.sendSectionFooter);
      this.#stream = stream;
      const precopy = await this.#setUp(stream);
      await precopy.copyWhileRunning(this.#peerReady());
      await this.#switchOver(stream, precopy);
      await this.#agree(stream);
      await this.#releaseRam();
      this.#complete();
    } catch (error) {
      await this.#unwind(await this.#firstCause(error));
    } finally {
      await this.#out?.close();
      await this.#returnPath?.finished;
      await this.#releaseSaver();
    }
  }

  async #connect(): Promise<OutgoingChannel> {
    const { target } = this.#options;
    if (target instanceof MigrationError) throw target;
    return await openOutgoing(target, this.#interrupt.signal);
  }

  /** Everything up to the first page. */
  async #setUp(stream: OutgoingStream): Promise<Precopy> {
    const { machine, returnPath, parameters, onPass } = this.#options;
    const started = performance.now();
    stream.put(write.header(), ...(machine.streamForm.sendConfiguration ? [this.#configuration()] : []));
    if (returnPath) this.#openReturnPath(stream);
    const saver = new native.RamSaver(machine.ramBlocks);
    this.#saver = saver;
    const precopy = new Precopy({
      stream,
      saver,
      statistics: this.statistics,
      estimate: this.estimate,
      parameters,
      onPass,
      signal: this.#interrupt.signal,
    });
    this.#precopy = precopy;
    await precopy.setUp(machine.ramBlocks, this.#options.ignoreShared);
    if (this.#options.stopFirst) await this.#stopGuest();
    this.#throwIfInterrupted();
    this.statistics.setupMs = performance.now() - started;
    this.#setStatus('active');
    return precopy;
  }

  #configuration(): Buffer {
    const { machine, validateUuid, ignoreShared } = this.#options;
    return write.configuration(machine.machineType, {
      capabilities: ignoreShared ? ['x-ignore-shared'] : [],
      uuid: validateUuid ? machine.uuid : undefined,
    });
  }

  #openReturnPath(stream: OutgoingStream): void {
    // A stock peer echoes the hello like any cookie; a Godwit adds its feature bits before the last PONG.
    stream.put(write.command(wire.COMMAND_OPEN_RETURN_PATH), write.ping(wire.GODWIT_HELLO), write.ping(greetingCookie));
    this.#returnPath = new ReturnPathReader(stream.channel, greetingCookie);
    this.#returnPath.failure.catch((error: unknown) => {
      if (error instanceof MigrationError) this.#stopEverything(error);
    });
  }

  /** Stops the guest and sends all the rest. */
  async #switchOver(stream: OutgoingStream, precopy: Precopy): Promise<void> {
    const features = await this.#returnPath?.features;
    this.#commitOffered = features !== undefined && (features & wire.GODWIT_FEATURE_COMMIT) !== 0;
    const before = stream.bytes;
    if (!this.#options.stopFirst) await this.#stopGuest();
    this.#throwIfInterrupted();
    if (this.#options.pauseBeforeSwitchover) await this.#hold();
    const { dialect, machine } = this.#options;
    if (dialect.switchoverStart) stream.put(write.command(wire.COMMAND_SWITCHOVER_START));
    await precopy.copyRest();
    const description = await stream.putState(machine, dialect);
    const { seal, nobodyThere } = this.#out ?? {};
    if (nobodyThere !== true) await this.#flushState(stream);
    // For readers of the stream only. Some destinations (QEMU with suppress-vmdesc) close as soon as they have the state:
    // whether this still gets through says nothing about the guest.
    stream.put(write.vmdescription(description));
    this.statistics.downtimeBytes = stream.bytes - before;
    if (seal !== undefined && nobodyThere === true) await this.#keep(stream, seal);
  }

  /** Nobody takes the guest over now: it is given away once all of it is where it stays, and until then it can go on here. */
  async #keep(stream: OutgoingStream, seal: () => Promise<void>): Promise<void> {
    await stream.channel.flush();
    await this.#unlessInterrupted(seal());
    this.#throwIfInterrupted();
    this.#step('handed-over-unconfirmed');
  }

  async #stopGuest(): Promise<void> {
    this.statistics.stoppedAt = performance.now();
    this.#step('guest-stopped');
    await this.#options.machine.stopForMigration();
  }

  /** What must have come from the destination before the guest may be stopped. */
  async #peerReady(): Promise<void> {
    const { switchoverAck, machine } = this.#options;
    await this.#returnPath?.features;
    // A guest that does not run cannot be stopped too early (qmp-migration.md 9.1).
    if (switchoverAck && machine.running) await this.#returnPath?.switchoverAck;
  }

  /** No time-out: a user decides (pre-switchover). A link that is lost meanwhile ends it, and the guest goes on here. */
  async #hold(): Promise<void> {
    this.#setStatus('pre-switchover');
    try {
      await this.#unlessInterrupted(this.#released.promise);
    } finally {
      // Also on the way to `failed`, as with QEMU: only a cancel leaves from here.
      if (this.#status === 'pre-switchover') this.#setStatus('device');
    }
  }

  /** One way, the end of the state is the commit, and no error or cancel after it takes the guest back. */
  async #flushState(stream: OutgoingStream): Promise<void> {
    try {
      await stream.channel.flush();
      if (this.#returnPath !== undefined) this.#throwIfInterrupted();
    } catch (error) {
      if (this.#returnPath !== undefined || !stream.stateWritten) throw error;
    }
    if (this.#returnPath === undefined) this.#step('handed-over-unconfirmed');
  }

  // --- the commit rule

  /** Ends with the guest handed over, or throws with the guest still here. */
  async #agree(stream: OutgoingStream): Promise<void> {
    const returnPath = this.#returnPath;
    if (this.#out?.nobodyThere === true) return;
    if (this.#out?.seal !== undefined) {
      const closing = this.#closing.promise.then(() => {
        throw new MigrationError('link', 'This machine ended before the command did');
      });
      await Promise.race([this.#out.seal(), closing]).catch((error: unknown) => {
        this.#error = notTaken(error);
      });
    } else if (returnPath === undefined) {
      // One way: that all was written is all that this end will ever know.
      const late = new AbortController();
      const patience = delay(timeouts.drainAfterEnd, undefined, { signal: late.signal }).catch(() => undefined);
      await Promise.race([stream.channel.flush().catch(() => undefined), patience]);
      late.abort();
    } else if (this.#commitOffered) {
      this.#awaitingVerdict = true;
      await this.#unlessInterrupted(returnPath.loaded);
      this.#throwIfInterrupted();
      this.#step('loaded');
      await this.#sendGo(stream, returnPath);
    } else {
      await this.#unlessInterrupted(returnPath.shut);
      this.#throwIfInterrupted();
      this.#step('shut');
    }
  }

  /** After the commit nothing fails any more: a lost link leaves the destination waiting for `cont`, loaded. */
  async #sendGo(stream: OutgoingStream, returnPath: ReturnPathReader): Promise<void> {
    stream.put(write.command(wire.COMMAND_GODWIT_GO));
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

  /** Only after the destination's own word that it has the guest: until then this is the guest's only certain copy. */
  async #releaseRam(): Promise<void> {
    if (!this.#options.releaseRam || this.#returnPath === undefined || this.#phase !== 'handed-over') return;
    await this.#releaseSaver();
    await this.#options.machine.releaseMemory().catch((error: unknown) => {
      this.#error ??= new MigrationError('machine', messageOf(error), { cause: error });
    });
  }

  #complete(): void {
    this.statistics.finish(performance.now(), this.transferredBytes);
    this.#options.machine.leaveAfterMigration();
    this.#setStatus(this.#error?.code === 'not-taken' ? 'failed' : 'completed');
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
    if (this.#out?.reason !== undefined && isLinkError(error)) {
      const told = await Promise.race([
        this.#out.reason.catch((reason: unknown) => reason),
        delay(timeouts.commandExplains),
      ]);
      if (told instanceof MigrationError) return told;
    }
    if (error instanceof MigrationError) return error;
    return new MigrationError(isLinkError(error) ? 'link' : 'machine', messageOf(error), { cause: error });
  }

  async #unwind(cause: MigrationError): Promise<void> {
    this.#error = cause;
    this.#saver?.cancel();
    if (this.#awaitingVerdict) await this.#sayFarewell();
    this.#stream?.channel.shutdown();
    const stopped = this.#phase === 'stopped';
    this.#step(cause.code === 'cancelled' ? 'cancel' : cause.code === 'peer' ? 'refused' : 'link-lost');
    await this.#releaseSaver();
    if (stopped) await this.#options.machine.resumeAfterMigration();
    this.#setStatus(this.#status === 'cancelling' ? 'cancelled' : 'failed');
  }

  /** Tells a destination that may hold the whole guest, loaded, that it is not to wait for GO. */
  async #sayFarewell(): Promise<void> {
    const stream = this.#stream;
    if (stream === undefined) return;
    stream.put(write.command(wire.COMMAND_GODWIT_ABANDON));
    await Promise.race([stream.channel.flush().catch(() => undefined), delay(timeouts.farewell)]);
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
    if (!this.#awaitingVerdict) this.#stream?.channel.shutdown();
    this.#precopy?.wake();
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

/** All of the state went to a command that then failed: a machine behind it may run the guest, or nobody has it. */
function notTaken(error: unknown): MigrationError {
  return new MigrationError(
    'not-taken',
    `${messageOf(error)}. It had been given all of the guest, which is stopped here now: if no other machine has it, 'cont' runs it`,
    { cause: error },
  );
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
