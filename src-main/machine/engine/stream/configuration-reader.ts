// SPDX-License-Identifier: Apache-2.0
/** The configuration section as a destination reads it: it must name this machine, and what both ends agree on. */
import { MigrationError } from '../errors.ts';
import type { ByteSource } from '../vmstate/byte-source.ts';
import { printable, readCountedString, readUint } from './reader.ts';
import * as wire from './wire.ts';

/** No machine name is longer: QEMU's longest is some 30 bytes. */
const maxMachineName = 256;
/** More than QEMU has capabilities. */
const maxCapabilities = 64;
const UUID_BYTES = 16;
const PREFIX = 'configuration/';

/** What this end is. */
export interface LocalConfiguration {
  readonly machineType: string;
  /** Of those that both ends must agree on, the ones that are on here. */
  readonly capabilities: readonly string[];
  /** 16 bytes; undefined: none was set. */
  readonly uuid: Uint8Array | undefined;
}

/** Capabilities that the configuration section names when they are on. */
export const CHECKED_CAPABILITIES = ['x-ignore-shared', 'mapped-ram'] as const;

const malformed = (message: string): MigrationError => new MigrationError('stream', message);

/** Reads the section and checks it against `local`; QEMU's sentences, with the remedy where there is one. */
export async function readConfiguration(source: ByteSource, local: LocalConfiguration): Promise<void> {
  if ((await readUint(source, 1)) !== wire.SECTION_CONFIGURATION) throw malformed('Configuration section missing');
  const length = await readUint(source, 4);
  if (length > maxMachineName) throw malformed(`Machine type name of ${length} bytes, the limit is ${maxMachineName}`);
  const name = length === 0 ? '' : Buffer.from(await source.read(length)).toString('utf8');
  if (name !== local.machineType) {
    throw malformed(
      `Machine type received is '${printable(name)}' and local is '${local.machineType}': start the destination as that machine`,
    );
  }
  const received = new Set<string>();
  for (let next = await peekSubsection(source); next !== undefined; next = await peekSubsection(source)) {
    await readSubsection(source, next, local, received);
  }
  const absent = local.capabilities.find((capability) => !received.has(capability));
  if (absent !== undefined) throw malformed(capabilityDiffers(absent, 'on', 'off'));
}

/** Name of the configuration's next subsection. Whatever else comes next ends the section: there is no count. */
async function peekSubsection(source: ByteSource): Promise<string | undefined> {
  const [type] = await source.peek(1);
  if (type !== wire.SECTION_SUBSECTION) return undefined;
  const length = (await source.peek(2))[1] ?? 0;
  const name = Buffer.from((await source.peek(2 + length)).subarray(2)).toString('utf8');
  return name.startsWith(PREFIX) ? name : undefined;
}

async function readSubsection(
  source: ByteSource,
  name: string,
  local: LocalConfiguration,
  received: Set<string>,
): Promise<void> {
  await source.read(2 + Buffer.byteLength(name, 'utf8'));
  const version = await readUint(source, 4);
  if (version !== 1) throw malformed(`Unsupported version ${version} of '${printable(name)}' in the stream`);
  switch (name) {
    case 'configuration/capabilities':
      for (const capability of await readCapabilities(source)) {
        if (!local.capabilities.includes(capability)) throw malformed(capabilityDiffers(capability, 'off', 'on'));
        received.add(capability);
      }
      return;
    case 'configuration/uuid':
      checkUuid(await source.read(UUID_BYTES), local.uuid);
      return;
    default:
      throw malformed(`The stream has '${printable(name)}', which this machine does not know`);
  }
}

async function readCapabilities(source: ByteSource): Promise<string[]> {
  const count = await readUint(source, 4);
  if (count > maxCapabilities) throw malformed(`${count} capabilities in the stream, the limit is ${maxCapabilities}`);
  const names: string[] = [];
  while (names.length < count) names.push(printable(await readCountedString(source)));
  return names;
}

const capabilityDiffers = (name: string, here: string, there: string): string =>
  `Capability ${name} is ${here}, but received capability is ${there}: set it the same on both ends`;

/** A machine without a UUID of its own takes any guest, as QEMU's does. */
function checkUuid(received: Uint8Array, local: Uint8Array | undefined): void {
  if (local === undefined || Buffer.compare(received, local) === 0) return;
  throw malformed(
    `UUID received is ${formatUuid(received)} and local is ${formatUuid(local)}: this is another machine`,
  );
}

/** 16 bytes in the usual notation. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** The 16 bytes of a UUID in the usual notation. */
export function uuidBytes(text: string): Uint8Array {
  return Buffer.from(text.replaceAll('-', ''), 'hex');
}
