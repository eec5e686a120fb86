// SPDX-License-Identifier: Apache-2.0
/** Walks a saved main-channel stream from its header to its end and writes down what is there. */
import { messageOf, MigrationError } from '../engine/errors.ts';
import * as read from '../engine/stream/reader.ts';
import * as wire from '../engine/stream/wire.ts';
import { isEndOfSource } from '../engine/vmstate/byte-source.ts';
import type { VmdescDevice } from '../engine/vmstate/describe.ts';
import type { Channel } from '../native/index.ts';
import { decodeCommand } from './commands.ts';
import { readConfigurationSection, readStreamHeader } from './configuration.ts';
import { readDeviceSection } from './device-section.ts';
import { MalformedStreamError } from './inspect-error.ts';
import type { RamRecords } from './ram-records.ts';
import type { InspectReport, PayloadReport, SectionReport, StreamElements } from './report.ts';
import type { StreamFile } from './stream-file.ts';
import type { VmDescription } from './vmdescription.ts';

type Section = Extract<read.StreamElement, { kind: 'section' }>;

/** How a section introduces itself. */
export interface SectionIdentity {
  readonly idstr: string;
  readonly instance: number;
  readonly version: number;
}

/** A machine with hundreds of devices has some thousand; parts of RAM that follow each other are one. */
const MAX_SECTIONS = 20_000;
/** The postcopy of a guest of a TiB may discard its RAM by some hundred thousand commands. */
const MAX_COMMANDS = 2_000_000;
/** Each takes memory here. */
const MAX_LISTED_COMMANDS = 50_000;
/** Of all sections together: a machine with 256 processors has some hundred thousand. */
const MAX_FIELDS = 500_000;
const MAX_NOTES = 50;
const SKIP_STEP = 1024 * 1024;

export interface InspectionParts {
  readonly file: StreamFile;
  readonly channel: Channel;
  readonly records: RamRecords;
  readonly description: VmDescription | undefined;
  /** Filled in. */
  readonly elements: StreamElements;
  /** Of a main channel from its beginning: filled in. A channel after a recovery has neither header nor configuration. */
  readonly beginning?: Pick<InspectReport, 'version' | 'configuration'>;
  /** Sections that are sent in parts, by id: a channel after a recovery goes on with those of the one before. */
  readonly live: Map<number, SectionIdentity>;
}

const deviceKey = (idstr: string, instance: number): string => `${instance} ${idstr}`;

export class StreamInspector {
  readonly #file: StreamFile;
  readonly #channel: Channel;
  readonly #records: RamRecords;
  readonly #report: StreamElements;
  readonly #beginning: InspectionParts['beginning'];
  readonly #description: VmDescription | undefined;
  readonly #described = new Map<string, VmdescDevice>();
  #fields = 0;
  #commands = 0;
  readonly #live: Map<number, SectionIdentity>;
  #packageEnd: number | undefined;
  #ignoreShared = false;
  /** What is being read, and where it begins. */
  #within = { what: 'the header', offset: 0 };

  constructor(parts: InspectionParts) {
    this.#file = parts.file;
    this.#channel = parts.channel;
    this.#records = parts.records;
    this.#report = parts.elements;
    this.#beginning = parts.beginning;
    this.#live = parts.live;
    if (parts.beginning === undefined) this.#within = { what: 'the first element', offset: 0 };
    this.#description = parts.description;
    for (const device of parts.description?.devices ?? []) {
      this.#described.set(deviceKey(device.name, device.instance_id), device);
    }
  }

  /** Resolves when the end of the state is reached; rejects with a {@link MalformedStreamError} where it cannot go on. */
  async run(): Promise<void> {
    try {
      if (this.#beginning !== undefined) await this.#readBeginning(this.#beginning);
      while (await this.#readNext());
      await this.#readTail();
    } catch (error) {
      throw this.#malformed(error);
    }
  }

  async #readBeginning(beginning: NonNullable<InspectionParts['beginning']>): Promise<void> {
    beginning.version = await readStreamHeader(this.#channel);
    this.#enter('the configuration');
    const configuration = await readConfigurationSection(this.#channel);
    if (configuration === undefined) {
      this.#note('the stream has no configuration section, as machine types before 2.4 have none');
      return;
    }
    beginning.configuration = configuration;
    const capabilities = configuration.subsections.flatMap((subsection) => subsection.capabilities ?? []);
    this.#ignoreShared = capabilities.includes('x-ignore-shared');
    if (capabilities.includes('mapped-ram')) {
      const reason = 'a mapped-ram file keeps its pages at fixed places, which inspect does not read yet';
      throw new MalformedStreamError(configuration.offset + configuration.length, reason);
    }
  }

  /** Reads one element; false after the mark that ends the state. */
  async #readNext(): Promise<boolean> {
    this.#enter('the next element');
    this.#leavePackage();
    const element = await read.readElement(this.#channel);
    switch (element.kind) {
      case 'command':
        this.#command(element);
        return true;
      case 'section':
        await this.#section(element);
        return true;
      case 'eof':
        if (this.#packageEnd !== undefined) {
          throw new MalformedStreamError(this.#within.offset, 'the end of the stream stands inside a package');
        }
        this.#report.endOffset = this.#within.offset;
        return false;
    }
  }

  #leavePackage(): void {
    const end = this.#packageEnd;
    if (end === undefined || this.#within.offset < end) return;
    if (this.#within.offset > end) {
      throw new MalformedStreamError(end, `the package ends here, but its last element at byte ${this.#within.offset}`);
    }
    this.#packageEnd = undefined;
  }

  #command({ number, payload }: { readonly number: number; readonly payload: Uint8Array }): void {
    const { offset } = this.#within;
    const { name, details, problem } = decodeCommand(number, payload);
    const title = name ?? `0x${number.toString(16)}`;
    if (problem !== undefined) throw new MalformedStreamError(offset, `the command ${title} ${problem}`);
    if (name === undefined) this.#note(`the command ${title} at byte ${offset} is not known`);
    const packaged = this.#packageEnd !== undefined;
    const length = this.#channel.bytesRead - offset;
    this.#commands++;
    if (this.#commands > MAX_COMMANDS) throw new MalformedStreamError(offset, `more than ${MAX_COMMANDS} commands`);
    if (this.#commands <= MAX_LISTED_COMMANDS) {
      this.#report.commands.push({ offset, length, number, name: title, packaged, details });
    } else if (this.#commands === MAX_LISTED_COMMANDS + 1) {
      this.#note(`commands from byte ${offset} on are not listed: there are too many`);
    }
    if (details.packageBytes === undefined) return;
    if (packaged) throw new MalformedStreamError(offset, 'a package inside a package');
    this.#packageEnd = this.#channel.bytesRead + details.packageBytes;
  }

  async #section(section: Section): Promise<void> {
    const { offset } = this.#within;
    const identity = this.#identify(section);
    this.#within = { what: `the ${section.type.toUpperCase()} section '${identity.idstr}'`, offset };
    let payload: PayloadReport | undefined;
    if (identity.idstr === 'ram') await this.#ram(section);
    else payload = await this.#device(section, identity);
    this.#enter(`the footer of section '${identity.idstr}'`);
    await read.readFooter(this.#channel, section.id, identity.idstr);
    this.#add({
      type: section.type,
      offset,
      length: this.#channel.bytesRead - offset,
      count: 1,
      id: section.id,
      ...identity,
      packaged: this.#packageEnd !== undefined,
      ...(payload !== undefined && { payload }),
    });
  }

  /** START and FULL introduce themselves; PART and END say an id. */
  #identify(section: Section): SectionIdentity {
    const { offset } = this.#within;
    if (section.type === 'start' || section.type === 'full') {
      const { idstr, instanceId: instance, version } = section;
      if (idstr === '') throw new MalformedStreamError(offset, `section ${section.id} has no name`);
      if (section.type === 'full') return { idstr, instance, version };
      if (this.#live.has(section.id)) throw new MalformedStreamError(offset, `section ${section.id} is started twice`);
      this.#live.set(section.id, { idstr, instance, version });
      return { idstr, instance, version };
    }
    const identity = this.#live.get(section.id);
    if (identity !== undefined) return identity;
    throw new MalformedStreamError(
      offset,
      `${section.type.toUpperCase()} of section ${section.id}, which no START introduced`,
    );
  }

  async #ram(section: Section): Promise<void> {
    if (section.type === 'full') throw new MalformedStreamError(this.#within.offset, 'RAM cannot be a FULL section');
    if (section.type === 'start' && section.version !== wire.RAM_SECTION_VERSION) {
      const reason = `RAM has version ${section.version}; only version ${wire.RAM_SECTION_VERSION} is known`;
      throw new MalformedStreamError(this.#within.offset, reason);
    }
    await this.#records.readSection(this.#channel, this.#ignoreShared);
  }

  async #device(section: Section, identity: SectionIdentity): Promise<PayloadReport> {
    const { payload, notes } = await readDeviceSection({
      file: this.#file,
      offset: this.#channel.bytesRead,
      sectionId: section.id,
      limit: Math.min(this.#file.bytes, this.#packageEnd ?? Infinity),
      liveIds: this.#live,
      idstr: identity.idstr,
      version: identity.version,
      description:
        section.type === 'full' ? this.#described.get(deviceKey(identity.idstr, identity.instance)) : undefined,
    });
    for (const note of notes) this.#note(note);
    await this.#skip(payload.length);
    this.#fields += payload.fields.length;
    if (this.#fields <= MAX_FIELDS) return payload;
    return { ...payload, fields: [], fieldsOmitted: payload.fieldsOmitted + payload.fields.length };
  }

  /** Parts that follow each other become one entry: a long migration has thousands. */
  #add(section: SectionReport): void {
    const last = this.#report.sections.at(-1);
    const continues = last !== undefined && last.offset + last.length === section.offset;
    if (continues && section.type === 'part' && last.type === 'part' && last.id === section.id) {
      last.length += section.length;
      last.count += 1;
      return;
    }
    if (this.#report.sections.length >= MAX_SECTIONS) {
      throw new MalformedStreamError(section.offset, `more than ${MAX_SECTIONS} sections`);
    }
    this.#report.sections.push(section);
  }

  /** What follows the end: the description, a Godwit source's verdict. */
  async #readTail(): Promise<void> {
    while (!(await this.#channel.atEnd())) {
      const offset = this.#channel.bytesRead;
      const [type] = await this.#channel.peek(1);
      if (type === wire.SECTION_VMDESCRIPTION && this.#report.vmdescription === undefined) {
        await this.#vmdescription(offset);
      } else if (type === wire.SECTION_COMMAND) {
        this.#enter('a command after the end');
        const element = await read.readElement(this.#channel);
        if (element.kind === 'command') this.#command(element);
      } else {
        const colo = this.#report.commands.some(({ number }) => number === wire.COMMAND_ENABLE_COLO);
        const what = colo ? 'the checkpoints of COLO, which are not read' : 'which do not belong to the stream';
        this.#note(`${this.#file.bytes - offset} bytes follow the end of the stream at byte ${offset}: ${what}`);
        return;
      }
    }
  }

  async #vmdescription(offset: number): Promise<void> {
    this.#enter('the description of the devices');
    const head = Buffer.from(await this.#channel.read(1 + 4));
    const length = head.readUInt32BE(1);
    await this.#skip(length);
    const found = this.#description?.offset === offset ? this.#description : undefined;
    this.#report.vmdescription = { offset, length: head.length + length, devices: found?.devices.length ?? 0 };
    if (found === undefined) this.#note(`the description of the devices at byte ${offset} cannot be read`);
  }

  async #skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; left -= SKIP_STEP) await this.#channel.read(Math.min(left, SKIP_STEP));
  }

  #enter(what: string): void {
    this.#within = { what, offset: this.#channel.bytesRead };
  }

  #note(sentence: string): void {
    const { notes } = this.#report;
    if (notes.length < MAX_NOTES) notes.push(sentence);
    else if (notes.length === MAX_NOTES) notes.push('there is more of this kind');
  }

  /** Every way in which reading fails becomes a place and a reason; what is no failure of the stream stays as it is. */
  #malformed(error: unknown): unknown {
    const { what, offset } = this.#within;
    const cause = { cause: error };
    if (isEndOfSource(error)) {
      const end = this.#file.bytes;
      const how = end === offset ? `before ${what}` : `inside ${what}, which begins at byte ${offset}`;
      return new MalformedStreamError(end, `the stream ends ${how}`, { ...cause, cutOff: true });
    }
    if (error instanceof MigrationError && error.code === 'stream') {
      return new MalformedStreamError(offset, messageOf(error), cause);
    }
    return asMalformedRecord(error) ?? error;
  }
}

/** The native loader's sentence says where its record begins. */
export function asMalformedRecord(error: unknown): MalformedStreamError | undefined {
  const [, place] = /^Unable to load the RAM record at byte (\d+) of the stream /.exec(messageOf(error)) ?? [];
  return place === undefined ? undefined : new MalformedStreamError(Number(place), messageOf(error), { cause: error });
}
