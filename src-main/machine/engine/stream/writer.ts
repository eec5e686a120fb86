// SPDX-License-Identifier: Apache-2.0
/**
 * Elements of QEMU's migration stream as bytes: pure functions from values to buffers (all integers big-endian). RAM
 * records between a section's header and its end are written by the native saver.
 */
import * as wire from './wire.ts';

/** A counted string holds at most this many bytes: its length is one byte. */
export const maxCountedString = 255;

function countedString(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > maxCountedString) throw new RangeError(`'${text}' is longer than ${maxCountedString} bytes`);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function be32(...values: number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => buffer.writeUInt32BE(value >>> 0, index * 4));
  return buffer;
}

function be64(value: number | bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer;
}

/** Magic and version. */
export function header(): Buffer {
  return be32(wire.FILE_MAGIC, wire.FILE_VERSION);
}

/** What the configuration section says besides the machine (migration-stream.md 2.2). */
export interface ConfigurationExtras {
  /** Capabilities that both ends must agree on; empty: no subsection. */
  readonly capabilities: readonly string[];
  /** 16 bytes; absent: no subsection. */
  readonly uuid?: Uint8Array | undefined;
}

/** Configuration section: the machine's full name, then a subsection for each of the extras that there is. */
export function configuration(machineType: string, extras: ConfigurationExtras = { capabilities: [] }): Buffer {
  const { capabilities, uuid } = extras;
  const name = Buffer.from(machineType, 'utf8');
  return Buffer.concat([
    Buffer.from([wire.SECTION_CONFIGURATION]),
    be32(name.length),
    name,
    ...(capabilities.length === 0
      ? []
      : [
          subsection('configuration/capabilities', 1),
          be32(capabilities.length),
          ...capabilities.map((capability) => countedString(capability)),
        ]),
    ...(uuid === undefined ? [] : [subsection('configuration/uuid', 1), uuid]),
  ]);
}

function subsection(name: string, version: number): Buffer {
  return Buffer.concat([Buffer.from([wire.SECTION_SUBSECTION]), countedString(name), be32(version)]);
}

/** Start of a START or FULL section; the payload and a footer follow. */
export function sectionStart(
  type: typeof wire.SECTION_START | typeof wire.SECTION_FULL,
  sectionId: number,
  idstr: string,
  instanceId: number,
  version: number,
): Buffer {
  return Buffer.concat([Buffer.from([type]), be32(sectionId), countedString(idstr), be32(instanceId, version)]);
}

/** Start of a PART or END section; the payload and a footer follow. */
export function sectionContinue(type: typeof wire.SECTION_PART | typeof wire.SECTION_END, sectionId: number): Buffer {
  return Buffer.concat([Buffer.from([type]), be32(sectionId)]);
}

/** Footer of any section. */
export function sectionFooter(sectionId: number): Buffer {
  return Buffer.concat([Buffer.from([wire.SECTION_FOOTER]), be32(sectionId)]);
}

/** A command; the payload is at most 65535 bytes. */
export function command(number: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(wire.SECTION_COMMAND, 0);
  head.writeUInt16BE(number, 1);
  head.writeUInt16BE(payload.length, 3);
  return Buffer.concat([head, payload]);
}

/** PING with a cookie. */
export function ping(cookie: number): Buffer {
  return command(wire.COMMAND_PING, be32(cookie));
}

/**
 * RAM setup: total size, then each block's name and used length, with x-ignore-shared its guest physical address, too.
 * EOS is not included.
 */
export function ramSetup(
  blocks: readonly { name: string; sizeBytes: number; guestAddress?: number }[],
  withAddresses = false,
): Buffer {
  const total = blocks.reduce((sum, block) => sum + block.sizeBytes, 0);
  return Buffer.concat([
    be64(BigInt(total) | BigInt(wire.RAM_FLAG_MEM_SIZE)),
    ...blocks.flatMap(({ name, sizeBytes, guestAddress = 0 }) => [
      countedString(name),
      be64(sizeBytes),
      ...(withAddresses ? [be64(guestAddress)] : []),
    ]),
  ]);
}

/** End of a section's RAM records. */
export function ramEndOfSection(): Buffer {
  return be64(wire.RAM_FLAG_EOS);
}

/** End of the device state. */
export function endOfStream(): Buffer {
  return Buffer.from([wire.SECTION_EOF]);
}

/** The JSON description of all device sections, after the end of the stream. */
export function vmdescription(json: string): Buffer {
  const text = Buffer.from(json, 'utf8');
  return Buffer.concat([Buffer.from([wire.SECTION_VMDESCRIPTION]), be32(text.length), text]);
}

/** A return path message; the payload is at most 512 bytes. */
export function returnPathMessage(type: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

/** A return path message whose payload is one be32: SHUT, PONG, RESUME_ACK. */
export function returnPathValue(type: number, value: number): Buffer {
  return returnPathMessage(type, be32(value));
}
