// SPDX-License-Identifier: Apache-2.0
/** The block list of RAM's START section, in every dialect of it. */
import * as wire from '../engine/stream/wire.ts';
import { readCountedText } from './configuration.ts';
import type { PositionedSource } from './configuration.ts';
import { MalformedStreamError } from './inspect-error.ts';

export interface SetupBlock {
  readonly name: string;
  readonly usedBytes: number;
  readonly pageSize?: number;
  readonly guestAddress?: number;
}

/** What is counted for each page takes memory. No guest that this was made for is as large. */
export const MAX_RAM_BYTES = 2 ** 40;
/** A machine with hundreds of devices has some hundred blocks. */
const MAX_BLOCKS = 4096;
const FLAG_MASK = wire.TARGET_PAGE_SIZE - 1;

/**
 * Reads the list whose used lengths add up to `totalBytes`. Behind a block's length may stand its page size (postcopy,
 * and only where it is not the base size) and, with x-ignore-shared, its guest address.
 */
export async function readRamSetup(
  source: PositionedSource,
  totalBytes: number,
  ignoreShared: boolean,
): Promise<SetupBlock[]> {
  const listAt = source.bytesRead;
  if (totalBytes > MAX_RAM_BYTES) {
    throw new MalformedStreamError(listAt - 8, `RAM of ${totalBytes} bytes is announced; inspect reads at most 1 TiB`);
  }
  const blocks: SetupBlock[] = [];
  for (let left = totalBytes; left > 0;) {
    const offset = source.bytesRead;
    if (blocks.length === MAX_BLOCKS) throw new MalformedStreamError(offset, `more than ${MAX_BLOCKS} RAM blocks`);
    const name = await readCountedText(source);
    const usedBytes = Number(Buffer.from(await source.read(8)).readBigUInt64BE(0));
    const fail = (problem: string): never => {
      throw new MalformedStreamError(offset, `RAM block '${name}' ${problem}`);
    };
    if (usedBytes === 0 || usedBytes > left) fail(`has ${usedBytes} bytes, where ${left} of the total are left`);
    if (usedBytes % wire.TARGET_PAGE_SIZE !== 0) fail(`has ${usedBytes} bytes, which are not whole pages`);
    if (blocks.some((block) => block.name === name)) fail('is announced twice');
    left -= usedBytes;
    blocks.push({ name, usedBytes, ...extras(await extraFields(source, left === 0), ignoreShared, fail) });
  }
  return blocks;
}

/**
 * The be64 fields behind a block's length. Nothing announces them: a next block begins with the length of its name, which
 * is not 0, and a RAM record has a flag in its low bits; these fields have neither.
 */
async function extraFields(source: PositionedSource, last: boolean): Promise<number[]> {
  const fields: number[] = [];
  while (fields.length < 3) {
    if (!last && (await source.peek(1))[0] !== 0) break;
    const value = Buffer.from(await source.peek(8)).readBigUInt64BE(0);
    if (Number(value & BigInt(FLAG_MASK)) !== 0) break;
    await source.read(8);
    fields.push(Number(value));
  }
  return fields;
}

function extras(
  fields: readonly number[],
  ignoreShared: boolean,
  fail: (problem: string) => never,
): Pick<SetupBlock, 'pageSize' | 'guestAddress'> {
  const sizes = ignoreShared ? fields.slice(0, -1) : fields;
  const address = ignoreShared ? fields.at(-1) : undefined;
  const [pageSize] = sizes;
  if (ignoreShared && address === undefined) fail('has no guest address, which x-ignore-shared adds');
  if (sizes.length > 1 || (pageSize !== undefined && pageSize <= wire.TARGET_PAGE_SIZE)) {
    fail(`is followed by numbers that are not understood: ${fields.join(', ')}`);
  }
  return { ...(pageSize !== undefined && { pageSize }), ...(address !== undefined && { guestAddress: address }) };
}
