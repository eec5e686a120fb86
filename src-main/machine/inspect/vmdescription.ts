// SPDX-License-Identifier: Apache-2.0
/**
 * The JSON description of all device sections (vmdesc) that a precopy source appends to its stream: the only thing that
 * says how long a section is which the reader does not know.
 */
import type { VmdescDevice, VmdescField, VmdescTable } from '../engine/vmstate/describe.ts';
import * as wire from '../engine/stream/wire.ts';
import type { ReadableStreamFile } from './stream-file.ts';

/** The description of a machine with hundreds of devices is a few hundred KiB. */
const MAX_LENGTH = 16 * 1024 * 1024;
/** Type byte and be32 length. */
const HEAD_BYTES = 5;
/** What may follow it: a Godwit source's verdict, the beginning of COLO's checkpoints. */
const MAX_TAIL = 16 * 1024 * 1024;
/** Places that look like one until the JSON is parsed. A real one is the first or, behind damage, the second. */
const MAX_CANDIDATES = 8;
/** Structs in structs; QEMU's deepest has 5. */
const MAX_DEPTH = 24;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

export interface VmDescription {
  /** Of its type byte. */
  readonly offset: number;
  /** With type byte and length field. */
  readonly length: number;
  readonly devices: readonly VmdescDevice[];
}

/**
 * Finds the description before the sections in front of it can be read. It is the last element, and JSON text holds no
 * byte below 0x20: seen from the end, the first place where a type byte 6 and a length that fits stand before a `{` is
 * where it begins. Undefined where there is none.
 */
export async function findVmDescription(file: ReadableStreamFile): Promise<VmDescription | undefined> {
  const start = Math.max(0, file.bytes - MAX_LENGTH - MAX_TAIL - HEAD_BYTES);
  const tail = await file.readAt(start, file.bytes - start);
  let candidates = 0;
  for (let at = tail.length; candidates < MAX_CANDIDATES;) {
    at = at === 0 ? -1 : tail.lastIndexOf(wire.SECTION_VMDESCRIPTION, at - 1);
    if (at < 0) return undefined;
    const text = textAt(tail, at);
    if (text === undefined) continue;
    candidates++;
    const devices = parseDevices(text);
    if (devices !== undefined) return { offset: start + at, length: HEAD_BYTES + text.length, devices };
  }
  return undefined;
}

/** The JSON text of the element at `at`, if it looks like one. */
function textAt(bytes: Buffer, at: number): Buffer | undefined {
  if (bytes[at + HEAD_BYTES] !== OPENING_BRACE) return undefined;
  const length = bytes.readUInt32BE(at + 1);
  if (length > MAX_LENGTH || at + HEAD_BYTES + length > bytes.length) return undefined;
  const text = bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length);
  return text.at(-1) === CLOSING_BRACE ? text : undefined;
}

/** The devices of a description; undefined where the text is not one that can be used. */
export function parseDevices(text: Buffer): VmdescDevice[] | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text.toString('utf8'));
  } catch {
    return undefined;
  }
  const devices = member(document, 'devices');
  if (!Array.isArray(devices)) return undefined;
  const read = devices.map(deviceOf);
  return read.every((device) => device !== undefined) ? read : undefined;
}

function deviceOf(value: unknown): VmdescDevice | undefined {
  const [name, instance, table] = [member(value, 'name'), member(value, 'instance_id'), tableOf(value, 0)];
  if (typeof name !== 'string' || typeof instance !== 'number' || table === undefined) return undefined;
  return { name, instance_id: instance, ...table };
}

function tableOf(value: unknown, depth: number): VmdescTable | undefined {
  if (depth > MAX_DEPTH) return undefined;
  const name = member(value, 'vmsd_name') ?? '';
  const version = member(value, 'version') ?? 0;
  const fields = listOf(member(value, 'fields') ?? [], (item) => fieldOf(item, depth + 1));
  const subsections = listOf(member(value, 'subsections') ?? [], (item) => tableOf(item, depth + 1));
  if (typeof name !== 'string' || typeof version !== 'number') return undefined;
  if (fields === undefined || subsections === undefined) return undefined;
  return { vmsd_name: name, version, fields, ...(subsections.length > 0 && { subsections }) };
}

function fieldOf(value: unknown, depth: number): VmdescField | undefined {
  const [name, type, size] = [member(value, 'name'), member(value, 'type'), member(value, 'size')];
  if (typeof name !== 'string' || typeof type !== 'string' || !isCount(size)) return undefined;
  const [count, index] = [member(value, 'array_len'), member(value, 'index')];
  if ((count !== undefined && !isCount(count)) || (index !== undefined && !isCount(index))) return undefined;
  // A `tmp` field holds its table directly.
  const inner = member(value, 'struct') ?? (member(value, 'fields') === undefined ? undefined : value);
  const struct = inner === undefined ? undefined : tableOf(inner, depth);
  if (inner !== undefined && struct === undefined) return undefined;
  return {
    name,
    type,
    size,
    ...(count !== undefined && { array_len: count }),
    ...(index !== undefined && { index }),
    ...(struct !== undefined && { struct }),
  };
}

function listOf<T>(value: unknown, read: (item: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items = value.map(read);
  return items.every((item) => item !== undefined) ? items : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
