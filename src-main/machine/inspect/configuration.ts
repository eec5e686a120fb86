// SPDX-License-Identifier: Apache-2.0
/** Header and configuration section of any machine's stream. */
import type { ByteSource } from '../engine/vmstate/byte-source.ts';
import * as wire from '../engine/stream/wire.ts';
import { MalformedStreamError } from './inspect-error.ts';
import type { ConfigurationReport, ConfigurationSubsection } from './report.ts';

const PREFIX = 'configuration/';
/** QEMU's longest machine name has some 30 bytes. */
const MAX_MACHINE_NAME = 256;
/** There are some thirty capabilities. */
const MAX_CAPABILITIES = 256;
/** What the first bytes are when they are not a stream's. */
const OTHER_BEGINNINGS: readonly (readonly [readonly number[], string])[] = [
  [[0x16, 0x03], 'it is a TLS connection, whose contents are encrypted'],
  [[0x11, 0x22, 0x33, 0x44], 'it is a multifd channel: inspect the main channel'],
  [[wire.SECTION_COMMAND, 0x00], 'it has no header: the connection of a recovery continues an earlier stream'],
];

/** Where a source stands; a migration channel fits. */
export interface PositionedSource extends ByteSource {
  readonly bytesRead: number;
}

/** Reads magic and version; answers the version. */
export async function readStreamHeader(source: PositionedSource): Promise<number> {
  const magic = await source.peek(4);
  if (Buffer.from(magic).readUInt32BE(0) !== wire.FILE_MAGIC) {
    const known = OTHER_BEGINNINGS.find(([bytes]) => bytes.every((byte, index) => magic[index] === byte));
    const begins = `it begins with ${Buffer.from(magic).toString('hex')}`;
    throw new MalformedStreamError(0, `this is not a migration stream: ${known?.[1] ?? begins}`);
  }
  await source.read(4);
  const version = Buffer.from(await source.read(4)).readUInt32BE(0);
  if (version !== wire.FILE_VERSION) {
    throw new MalformedStreamError(4, `the stream has version ${version}; only version ${wire.FILE_VERSION} is known`);
  }
  return version;
}

/** Reads the configuration section with its subsections; undefined where the stream has none. */
export async function readConfigurationSection(source: PositionedSource): Promise<ConfigurationReport | undefined> {
  const offset = source.bytesRead;
  const [type] = await source.peek(1);
  if (type !== wire.SECTION_CONFIGURATION) return undefined;
  const length = Buffer.from((await source.read(5)).subarray(1)).readUInt32BE(0);
  if (length > MAX_MACHINE_NAME) {
    throw new MalformedStreamError(offset, `the configuration has a machine name of ${length} bytes`);
  }
  const machine = await readText(source, length);
  const subsections: ConfigurationSubsection[] = [];
  for (;;) {
    const subsection = await readSubsection(source);
    if (subsection === undefined) break;
    subsections.push(subsection);
  }
  return { offset, length: source.bytesRead - offset, machine, subsections };
}

/** Nothing announces a subsection: its type byte and the beginning of its name are looked for. */
async function readSubsection(source: PositionedSource): Promise<ConfigurationSubsection | undefined> {
  const offset = source.bytesRead;
  const [type] = await source.peek(1);
  if (type !== wire.SECTION_SUBSECTION) return undefined;
  const nameLength = (await source.peek(2))[1] ?? 0;
  const name = Buffer.from((await source.peek(2 + nameLength)).subarray(2)).toString('utf8');
  if (!name.startsWith(PREFIX)) return undefined;
  const head = Buffer.from(await source.read(2 + nameLength + 4));
  const version = head.readUInt32BE(2 + nameLength);
  switch (name.slice(PREFIX.length)) {
    case 'target-page-bits':
      return { name, version, targetPageBits: Buffer.from(await source.read(4)).readUInt32BE(0) };
    case 'capabilities':
      return { name, version, capabilities: await readCapabilities(source, offset) };
    case 'uuid':
      return { name, version, uuid: uuidText(Buffer.from(await source.read(16))) };
    default:
      throw new MalformedStreamError(offset, `the configuration has a subsection '${name}', which is not known`);
  }
}

async function readCapabilities(source: PositionedSource, offset: number): Promise<string[]> {
  const count = Buffer.from(await source.read(4)).readUInt32BE(0);
  if (count > MAX_CAPABILITIES) throw new MalformedStreamError(offset, `the configuration lists ${count} capabilities`);
  const names: string[] = [];
  while (names.length < count) names.push(await readCountedText(source));
  return names;
}

function uuidText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Reads `u8 length, bytes`. */
export async function readCountedText(source: ByteSource): Promise<string> {
  const [length = 0] = await source.read(1);
  return readText(source, length);
}

async function readText(source: ByteSource, length: number): Promise<string> {
  return length === 0 ? '' : Buffer.from(await source.read(length)).toString('utf8');
}
