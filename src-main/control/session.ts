// SPDX-License-Identifier: Apache-2.0
/**
 * One client's session on a QMP server, without its transport: bytes in, lines out. Negotiation first; then in-band
 * commands one after another in their order, out-of-band ones at once, and events.
 */
import { array, checkArguments, object, oneOf, optional } from './arguments.ts';
import type { Command, CommandContext, CommandTable } from './command.ts';
import type { JsonInput } from './json.ts';
import {
  errorReply,
  genericError,
  QmpError,
  successReply,
  timestampOf,
  writeLine,
  type QmpAnnouncement,
  type QmpGreeting,
  type QmpVersion,
} from './protocol.ts';
import { PassedDescriptors } from './passed-descriptors.ts';
import { COMMAND_LIMITS, JsonReader, type JsonResult } from './reader.ts';
import { commandOf, idOf, isOutOfBand, readRequest, type Request } from './request.ts';

/** In-band requests that may wait before the session asks its transport to stop reading; QEMU's number. */
export const MAX_WAITING_REQUESTS = 8;

export interface SessionOptions {
  readonly version: QmpVersion;
  readonly commands: CommandTable;
  /** Takes one line, CR LF included, printable ASCII. */
  readonly send: (line: string) => void;
  /** Whether the transport should go on reading from the client. */
  readonly setReading?: (reading: boolean) => void;
  /** Pending while the client leaves its replies unread: the next in-band command waits for it. */
  readonly room?: () => Promise<void> | undefined;
  /** Told of errors that are no refusals: defects of a handler. The client gets a sentence all the same. */
  readonly onDefect?: (error: unknown, command: string) => void;
  /** Wall-clock milliseconds for the time of events. */
  readonly now?: () => number;
}

const NEGOTIATE = 'qmp_capabilities';
const negotiationArguments = object({ enable: optional(array(oneOf(['oob']))) });

/** A message of the client, with the descriptors that are for it. */
interface Received {
  readonly result: JsonResult;
  readonly descriptors: PassedDescriptors;
}

export class QmpSession {
  readonly #options: SessionOptions;
  readonly #reader = new JsonReader(COMMAND_LIMITS);
  readonly #gone = new AbortController();
  readonly #waiting: Received[] = [];
  readonly #outOfBand = new Set<Promise<void>>();
  /** The last that came, until the command comes that they are for: later ones take their place, as in QEMU. */
  #passed = new PassedDescriptors();
  #inBand: Promise<void> | undefined;
  #reading = true;
  #negotiated = false;
  #oobEnabled = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Greets the client. Call once, before anything is received. */
  open(): void {
    const greeting: QmpGreeting = { QMP: { version: this.#options.version, capabilities: ['oob'] } };
    this.#options.send(writeLine(greeting));
  }

  /** Takes the client's next bytes, and the descriptors that came with them. */
  receive(bytes: Uint8Array, descriptors: readonly number[] = []): void {
    if (descriptors.length > 0) {
      this.#passed.close();
      this.#passed = new PassedDescriptors(descriptors);
      if (this.#gone.signal.aborted) this.#passed.close();
    }
    for (const result of this.#reader.push(bytes)) this.#take(result);
  }

  /** Sends an event, unless the client has not negotiated yet: then it never hears of it. */
  emit({ event, data }: QmpAnnouncement): void {
    if (!this.#negotiated || this.#gone.signal.aborted) return;
    const { now = Date.now, send } = this.#options;
    send(writeLine({ timestamp: timestampOf(now()), event, data }));
  }

  /** The client sends no more: resolves when all that it asked for is answered. */
  async finish(): Promise<void> {
    for (const result of this.#reader.finish()) this.#take(result);
    await this.idle();
  }

  /** Resolves when no request is being worked on. */
  async idle(): Promise<void> {
    while (this.#inBand !== undefined || this.#outOfBand.size > 0) {
      await Promise.all([this.#inBand, ...this.#outOfBand]);
    }
  }

  /** The client is gone: what waits is dropped, running handlers are told by their signal, nothing more is sent. */
  close(): void {
    for (const { descriptors } of this.#waiting.splice(0)) descriptors.close();
    this.#passed.close();
    this.#gone.abort();
  }

  #take(result: JsonResult): void {
    const received = { result, descriptors: this.#descriptorsFor(result) };
    if (result.ok && isOutOfBand(result.value)) {
      const run = this.#answer(received).finally(() => this.#outOfBand.delete(run));
      this.#outOfBand.add(run);
      return;
    }
    this.#waiting.push(received);
    this.#steerReading();
    this.#inBand ??= this.#drain();
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const room = this.#options.room?.();
      if (room !== undefined) await room;
      const next = this.#waiting.shift();
      if (next === undefined) break; // the client left meanwhile
      this.#steerReading();
      await this.#answer(next);
    }
    this.#inBand = undefined;
  }

  #descriptorsFor(result: JsonResult): PassedDescriptors {
    const name = result.ok ? commandOf(result.value) : undefined;
    const takes = name !== undefined && this.#lookUp(name)?.takesDescriptors === true;
    return takes ? this.#passed.takeAll() : new PassedDescriptors();
  }

  #steerReading(): void {
    const reading = this.#waiting.length < MAX_WAITING_REQUESTS;
    if (reading === this.#reading) return;
    this.#reading = reading;
    this.#options.setReading?.(reading);
  }

  /** Never rejects. */
  async #answer({ result, descriptors }: Received): Promise<void> {
    const id = result.ok ? idOf(result.value) : undefined;
    let reply: string;
    try {
      if (!result.ok) throw genericError(result.sentence);
      reply = await this.#reply(result.value, descriptors);
    } catch (error) {
      reply = errorReply(error instanceof QmpError ? error : genericError(String(error)), id);
    } finally {
      descriptors.close();
    }
    if (!this.#gone.signal.aborted) this.#options.send(reply);
  }

  async #reply(message: JsonInput, descriptors: PassedDescriptors): Promise<string> {
    const request = readRequest(message, this.#oobEnabled);
    const id = idOf(message);
    if (request.command === NEGOTIATE) {
      this.#negotiate(request);
      return successReply({}, id);
    }
    if (!this.#negotiated) {
      throw new QmpError('CommandNotFound', `Expecting capabilities negotiation with '${NEGOTIATE}'`);
    }
    const command = this.#find(request);
    const takeDescriptor = (): number | undefined => descriptors.take();
    const context: CommandContext = { signal: this.#gone.signal, oob: request.oob, takeDescriptor };
    try {
      return successReply(await command.run(request.arguments, context), id);
    } catch (error) {
      if (error instanceof QmpError) throw error;
      throw this.#describe(error, request.command);
    }
  }

  #negotiate({ oob, arguments: given }: Request): void {
    if (oob) throw genericError(`The command ${NEGOTIATE} does not support OOB`);
    const { enable = [] } = checkArguments(negotiationArguments, given);
    if (this.#negotiated) {
      throw new QmpError('CommandNotFound', 'Capabilities negotiation is already complete, command ignored');
    }
    this.#negotiated = true;
    this.#oobEnabled = enable.includes('oob');
  }

  #find({ command, oob }: Request): Command {
    const found = this.#lookUp(command);
    if (found === undefined) throw new QmpError('CommandNotFound', `The command ${command} has not been found`);
    if (oob && !found.oob) throw genericError(`The command ${command} does not support OOB`);
    return found;
  }

  #lookUp(name: string): Command | undefined {
    const { commands } = this.#options;
    return Object.hasOwn(commands, name) ? commands[name] : undefined;
  }

  /** Errors that carry a `code` were made for a reader, and their message is the answer; any other is a defect. */
  #describe(error: unknown, command: string): QmpError {
    if (error instanceof Error && 'code' in error) return genericError(error.message);
    this.#options.onDefect?.(error, command);
    return genericError(`The command ${command} failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}
