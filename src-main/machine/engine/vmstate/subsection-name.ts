// SPDX-License-Identifier: Apache-2.0
/**
 * Whether a subsection follows, and which. Nothing announces one: a reader looks at the next bytes and leaves them.
 */
import { isEndOfSource } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { SUBSECTION_PREFIX_BYTES, SUBSECTION_TYPE } from './layout.ts';

/** After a whole section nothing else starts like a subsection. Undefined where none follows. */
export async function nameAfterSection(source: ByteSource): Promise<string | undefined> {
  const [type] = await source.peek(1);
  return type === SUBSECTION_TYPE ? peekName(source) : undefined;
}

/**
 * Fields that follow a struct may look like the start of a subsection. So the beginning, up to the struct's own name, is
 * looked at byte by byte: what goes wrong is not waited for, since the source may have sent no more.
 */
export async function nameAfterStruct(source: ByteSource, structName: string): Promise<string | undefined> {
  const prefix = Buffer.from(`${structName}/`, 'latin1');
  for (let count = 1; count <= SUBSECTION_PREFIX_BYTES + prefix.length; count++) {
    const byte = await lastOf(source, count);
    if (byte === undefined || !canStand(byte, count - 1, prefix)) return undefined;
  }
  return peekName(source);
}

/** The last of the next `count` bytes; undefined at an end where nothing says yet that a name was cut off. */
async function lastOf(source: ByteSource, count: number): Promise<number | undefined> {
  try {
    return (await source.peek(count)).at(-1);
  } catch (error) {
    if (isEndOfSource(error) && count <= SUBSECTION_PREFIX_BYTES + 1) return undefined;
    throw error;
  }
}

/** Whether a byte is right for its place in: type, length, name. */
function canStand(byte: number, place: number, prefix: Buffer): boolean {
  if (place === 0) return byte === SUBSECTION_TYPE;
  if (place === 1) return byte > prefix.length;
  return byte === prefix[place - SUBSECTION_PREFIX_BYTES];
}

async function peekName(source: ByteSource): Promise<string> {
  const [, length = 0] = await source.peek(SUBSECTION_PREFIX_BYTES);
  const head = await source.peek(SUBSECTION_PREFIX_BYTES + length);
  return Buffer.from(head.subarray(SUBSECTION_PREFIX_BYTES)).toString('latin1');
}
