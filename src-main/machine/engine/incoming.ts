// SPDX-License-Identifier: Apache-2.0
/**
 * The destination's runner: listens, loads one guest, and takes it over when the commit rule says so.
 */
import { setTimeout as delay } from 'node:timers/promises';
import {
  stepDestination,
  type DestinationEvent,
  type DestinationPhase,
} from '../../../src-shared/migration/ownership.ts';
import type { MigrationStatus } from '../../../src-shared/migration/status.ts';
import { canTransition } from '../../../src-shared/migration/transitions.ts';
import { native, type Channel, type RamLoader, type SocketTarget } from '../native/index.ts';
import type { IncomingChannels } from './channels/open.ts';
import { asLoadError, MigrationError } from './errors.ts';
import type { EngineMachine } from './machine-interface.ts';
import { checkBlockList } from './ram/block-list.ts';
import { readConfiguration } from './stream/configuration-reader.ts';
import * as read from './stream/reader.ts';
import * as wire from './stream/wire.ts';
import * as write from './stream/writer.ts';
import { timeouts } from './timeouts.ts';

/** Answers that a source may leave unread, bytes: a source asks a handful of times and reads while it sends. */
const maxUnreadAnswers = 64 * 1024;
/** What is left after the guest was taken over is read in pieces of this size. */
const drainChunk = 64 * 1024;

export interface IncomingOptions {
  readonly machine: EngineMachine;
  /** Opened already, so that an address that cannot be is refused before anything has begun. */
  readonly channels: IncomingChannels;
  /** x-ignore-shared is on here: the source must have it on as well. */
  readonly ignoreShared: boolean;
  /** switchover-ack is on here: the source is told at once that nothing needs more time. */
  readonly switchoverAck: boolean;
  /** Called on every status change, after it. */
  readonly onStatus: (status: MigrationStatus) => void;
  /** The connection has come and gone without success: nothing of the guest is here. */
  readonly onFailed: (error: MigrationError) => void;
  /** Other deadlines than the engine's own, milliseconds. */
  readonly deadlines?: Partial<Record<'header' | 'lastAnswer', number>>;
}

export class IncomingMigration {
  /** Resolves when the attempt is over; never rejects. */
  readonly finished: Promise<void>;
  /** The listening address, with the real port; undefined where nobody can connect. */
  readonly address: SocketTarget | undefined;

  readonly #options: IncomingOptions;
  readonly #interrupt = new AbortController();
  #status: MigrationStatus = 'none';
  #phase: DestinationPhase = 'idle';
  #error: MigrationError | undefined;
  #channel: Channel | undefined;
  #loader: RamLoader | undefined;
  /** The list of RAM blocks has arrived and fits this machine. */
  #blocksKnown = false;
  /** Sections that START announced, by id. */
  readonly #live = new Map<number, string>();
  #returnPathOpen = false;
  /** The source asked who we are: it is a Godwit and will send GO. */
  #goExpected = false;

  constructor(options: IncomingOptions) {
    this.#options = options;
    this.address = options.channels.address;
    this.finished = this.#run();
  }

  get status(): MigrationStatus {
    return this.#status;
  }

  /** Where this end stands in the commit rule. */
  get phase(): DestinationPhase {
    return this.#phase;
  }

  get error(): MigrationError | undefined {
    return this.#error;
  }

  /** `cont` by hand: takes a guest over that is loaded and whose link was lost. False when nothing waits. */
  continueWaiting(): boolean {
    if (this.#phase !== 'waiting') return false;
    this.#takeOver('cont');
    return true;
  }

  /** Cuts the link, as a lost one does. */
  yank(): void {
    this.#channel?.shutdown();
  }

  /** Ends the attempt: nothing will be taken over any more by itself. */
  async close(): Promise<void> {
    this.#interrupt.abort(new MigrationError('cancelled', 'The destination was asked to quit'));
    this.#options.channels.close();
    this.#channel?.shutdown();
    await this.finished;
  }

  async #run(): Promise<void> {
    this.#setStatus('setup');
    try {
      const { channels } = this.#options;
      const channel = await channels.accept(this.#interrupt.signal);
      this.#channel = channel;
      if (channels.address !== undefined) channels.close();
      this.#step('connected');
      this.#setStatus('active');
      await this.#load(channel);
      if (this.#options.channels.verify === undefined) await this.#agree(channel);
      else await this.#verify(channel, this.#options.channels.verify);
      await this.#drain(channel);
    } catch (error) {
      const interruption: unknown = this.#interrupt.signal.reason;
      await this.#fail(interruption instanceof MigrationError ? interruption : asLoadError(error));
    } finally {
      this.#options.channels.close();
      this.#channel?.close();
      this.#loader?.close();
      this.#loader = undefined;
    }
  }

  // --- loading

  async #load(channel: Channel): Promise<void> {
    await this.#readHeader(channel);
    const { machine, ignoreShared } = this.#options;
    if (machine.streamForm.sendConfiguration) {
      await readConfiguration(channel, {
        machineType: machine.machineType,
        uuid: machine.uuid,
        capabilities: ignoreShared ? ['x-ignore-shared'] : [],
      });
    }
    for (;;) {
      const element = await read.readElement(channel);
      if (element.kind === 'eof') break;
      if (element.kind === 'command') this.#command(channel, element);
      else await this.#section(channel, element);
    }
    if (!this.#blocksKnown) throw new MigrationError('stream', 'The migration stream ended without a RAM section');
    this.#requireEveryPage();
    await this.#options.machine.applyLoadedState();
  }

  /**
   * A source with x-ignore-shared leaves out blocks that both ends map. Here memory belongs to one process, so what was
   * left out is missing: every page of a live migration comes at least once.
   */
  #requireEveryPage(): void {
    const { ignoreShared, machine } = this.#options;
    if (!ignoreShared || this.#loader === undefined) return;
    const pages = machine.ramBlocks.reduce((sum, { sizeBytes }) => sum + sizeBytes / wire.TARGET_PAGE_SIZE, 0);
    if (this.#loader.normalPages + this.#loader.zeroPages >= pages) return;
    throw new MigrationError(
      'stream',
      'The source left out shared memory, and this machine shares none: turn x-ignore-shared off on both ends',
    );
  }

  /**
   * Whoever connects and says nothing must not hold the place of the real source for ever. A command is no stranger: it
   * may wait for one as long as it likes.
   */
  async #readHeader(channel: Channel): Promise<void> {
    if (this.address === undefined) {
      await read.readHeader(channel);
      return;
    }
    const limit = this.#options.deadlines?.header ?? timeouts.header;
    const wait = { overdue: false };
    const timer = setTimeout(() => {
      wait.overdue = true;
      channel.shutdown();
    }, limit);
    try {
      await read.readHeader(channel);
    } catch (error) {
      if (!wait.overdue) throw error;
      const sentence = `Something connected and sent no migration stream within ${limit / 1000} s`;
      throw new MigrationError('link', sentence, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  #command(channel: Channel, element: { number: number; payload: Uint8Array }): void {
    switch (element.number) {
      case wire.COMMAND_OPEN_RETURN_PATH:
        read.requireLength(element, 0);
        if (this.#returnPathOpen)
          throw new MigrationError('stream', 'CMD_OPEN_RETURN_PATH called when RP already open');
        this.#returnPathOpen = true;
        // No device of ours needs more time (migration-stream.md 3.1).
        if (this.#options.switchoverAck) channel.enqueue(write.returnPathMessage(wire.RETURN_PATH_SWITCHOVER_ACK));
        return;
      case wire.COMMAND_PING:
        read.requireLength(element, 4);
        this.#answerPing(channel, Buffer.from(element.payload).readUInt32BE(0));
        return;
      case wire.COMMAND_SWITCHOVER_START:
        read.requireLength(element, 0);
        return;
      default:
        throw new MigrationError(
          'stream',
          `MIG_CMD 0x${element.number.toString(16)} unknown (len 0x${element.payload.length.toString(16)})`,
        );
    }
  }

  #answerPing(channel: Channel, cookie: number): void {
    if (!this.#returnPathOpen) return;
    if (channel.bytesQueued > maxUnreadAnswers) {
      throw new MigrationError(
        'stream',
        `The source keeps asking and leaves more than ${maxUnreadAnswers / 1024} KiB of answers unread`,
      );
    }
    channel.enqueue(write.returnPathValue(wire.RETURN_PATH_PONG, cookie));
    if (cookie !== wire.GODWIT_HELLO) return;
    this.#goExpected = true;
    const features = wire.GODWIT_FEATURES_TAG | wire.GODWIT_FEATURE_COMMIT;
    channel.enqueue(write.returnPathValue(wire.RETURN_PATH_PONG, features));
  }

  async #section(channel: Channel, element: Extract<read.StreamElement, { kind: 'section' }>): Promise<void> {
    const name = element.type === 'start' || element.type === 'full' ? element.idstr : this.#live.get(element.id);
    if (name === undefined) throw new MigrationError('stream', `Unknown savevm section ${element.id}`);
    if (name === 'ram') {
      if (element.type === 'full') throw new MigrationError('stream', "Section 'ram' cannot be a FULL section");
      if (element.type === 'start') this.#startRam(element);
      await this.#ramRecords(channel);
    } else if (element.type === 'full') {
      await this.#options.machine.loadSection(element.idstr, element.instanceId, element.version, channel);
    } else {
      throw new MigrationError(
        'stream',
        `Unknown savevm section or instance '${name.replace(/[^\x20-\x7e]/g, '?')}'. This machine has no device that is saved in parts but its RAM`,
      );
    }
    if (this.#options.machine.streamForm.sendSectionFooter) await read.readFooter(channel, element.id, name);
  }

  #startRam(element: { id: number; instanceId: number; version: number }): void {
    if (element.instanceId !== 0)
      throw new MigrationError('stream', `Unknown savevm section or instance 'ram' ${element.instanceId}`);
    if (element.version !== wire.RAM_SECTION_VERSION) {
      throw new MigrationError(
        'stream',
        `savevm: unsupported version ${element.version} for 'ram' v${wire.RAM_SECTION_VERSION}`,
      );
    }
    if (this.#live.size > 0) throw new MigrationError('stream', "Section 'ram' was started twice");
    this.#live.set(element.id, 'ram');
  }

  /** Records up to EOS. The block list comes first; pages before it have nowhere to go. */
  async #ramRecords(channel: Channel): Promise<void> {
    for (;;) {
      this.#loader ??= new native.RamLoader([]);
      const end = await channel.loadRam(this.#loader);
      switch (end.kind) {
        case 'eos':
          return;
        case 'mem-size': {
          const announced = await read.readBlockList(channel, BigInt(end.value), this.#options.ignoreShared);
          const blocks = checkBlockList(announced, this.#options.machine.ramBlocks);
          this.#loader.close();
          this.#loader = new native.RamLoader(blocks);
          this.#blocksKnown = true;
          break;
        }
        case 'multifd-flush':
          throw new MigrationError(
            'stream',
            'The stream uses multifd, which is not enabled here: switch multifd off at the source',
          );
        case 'compressed-page':
          throw new MigrationError('stream', 'The stream has compressed pages: turn the compress capability off');
        case 'hook':
          throw new MigrationError('stream', 'The stream is an RDMA stream, which is not supported: use tcp or unix');
      }
    }
  }

  /**
   * A command that delivers the stream may find out at its very end that it was damaged. Its good end is the GO; after a
   * bad one the guest waits here, loaded, for the user's word: it may be the only one that there is.
   */
  async #verify(channel: Channel, verify: () => Promise<void>): Promise<void> {
    this.#step('applied');
    // It ends when all of its output has been taken, the description behind the state included.
    while (!(await channel.atEnd())) {
      const [type] = await channel.read(1);
      if (type === wire.SECTION_VMDESCRIPTION) await read.skipVmdescription(channel);
    }
    await verify();
    this.#takeOver('go');
  }

  // --- the commit rule

  async #agree(channel: Channel): Promise<void> {
    if (!this.#goExpected) {
      this.#takeOver('applied-no-verdict');
      if (this.#returnPathOpen) channel.enqueue(write.returnPathValue(wire.RETURN_PATH_SHUT, 0));
      return;
    }
    this.#step('applied');
    channel.enqueue(write.returnPathMessage(wire.RETURN_PATH_GODWIT_LOADED));
    await this.#waitForGo(channel);
    this.#takeOver('go');
    channel.enqueue(write.returnPathValue(wire.RETURN_PATH_SHUT, 0));
  }

  async #waitForGo(channel: Channel): Promise<void> {
    for (;;) {
      const [type] = await channel.peek(1);
      if (type === wire.SECTION_VMDESCRIPTION) {
        await channel.read(1);
        await read.skipVmdescription(channel);
        continue;
      }
      const element = await read.readElement(channel);
      if (element.kind === 'command' && element.number === wire.COMMAND_GODWIT_ABANDON) {
        this.#step('abandoned');
        throw new MigrationError('cancelled', 'The source cancelled the migration and keeps the guest');
      }
      if (element.kind !== 'command' || element.number !== wire.COMMAND_GODWIT_GO) {
        throw new MigrationError('stream', 'The source sent something else than GO after the end of the state');
      }
      read.requireLength(element, 0);
      return;
    }
  }

  #takeOver(event: DestinationEvent): void {
    this.#interrupt.signal.throwIfAborted();
    this.#step(event);
    this.#error = undefined;
    this.#options.machine.takeOver();
    this.#setStatus('completed');
  }

  /** Reads what is left (a vmdesc) until the source closes, so that its last writes succeed. Errors mean nothing now. */
  async #drain(channel: Channel): Promise<void> {
    const flushed = channel.flush().catch(() => undefined);
    const drained = (async () => {
      for (;;) await channel.read(drainChunk);
    })().catch(() => undefined);
    const late = new AbortController();
    await Promise.race([
      Promise.all([flushed, drained]),
      delay(timeouts.drainAfterShut, undefined, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
  }

  // --- ends

  async #fail(error: MigrationError): Promise<void> {
    this.#error = error;
    if (this.#phase === 'loaded') {
      // The state is whole and the source may have committed: keep it, run nothing.
      this.#step('link-lost');
      this.#options.machine.holdLoaded();
      return;
    }
    if (this.#phase === 'owner') return;
    if (this.#phase !== 'gone' && this.#returnPathOpen && this.#channel !== undefined) {
      await this.#reportFailure(this.#channel);
    }
    this.#step(this.#phase === 'idle' ? 'killed' : 'failed');
    this.#setStatus('failed');
    this.#options.onFailed(error);
  }

  /** Tells the source, if it listens: one that reads nothing must not keep this end from ending. */
  async #reportFailure(channel: Channel): Promise<void> {
    channel.enqueue(write.returnPathValue(wire.RETURN_PATH_SHUT, 1));
    const limit = this.#options.deadlines?.lastAnswer ?? timeouts.lastAnswer;
    const timer = setTimeout(() => {
      channel.shutdown();
    }, limit);
    await channel.flush().catch(() => undefined);
    clearTimeout(timer);
  }

  #step(event: DestinationEvent): void {
    this.#phase = stepDestination(this.#phase, event);
  }

  /** The one place that changes the status. */
  #setStatus(status: MigrationStatus): void {
    if (!canTransition('destination', this.#status, status)) {
      throw new MigrationError('machine', `internal: incoming status ${this.#status} cannot become ${status}`);
    }
    this.#status = status;
    this.#options.onStatus(status);
  }
}
