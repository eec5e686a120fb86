// SPDX-License-Identifier: Apache-2.0
import { MigrationError } from '../errors.ts';
import type { RamBlock } from '../machine-interface.ts';
import type { AnnouncedBlock } from '../stream/reader.ts';

/** A block as the loader takes it. */
export interface LoadableBlock {
  readonly name: string;
  readonly memory: RamBlock['memory'];
  readonly usedBytes: number;
}

/**
 * Matches the announced blocks against this machine's. Each must exist here with the same size, and none of this
 * machine's may be left out; QEMU's sentences, with the remedy where there is one.
 */
export function checkBlockList(announced: readonly AnnouncedBlock[], local: readonly RamBlock[]): LoadableBlock[] {
  const seen = new Set<string>();
  const blocks = announced.map(({ name, usedBytes, guestAddress }) => {
    if (seen.has(name)) throw new MigrationError('stream', `RAM block '${name}' is announced twice`);
    seen.add(name);
    const block = local.find((candidate) => candidate.name === name);
    if (block === undefined) {
      throw new MigrationError('stream', `Unknown ramblock "${name}", cannot accept migration`);
    }
    if (usedBytes !== BigInt(block.sizeBytes)) {
      throw new MigrationError(
        'stream',
        `Size mismatch: ${name}: 0x${usedBytes.toString(16)} != 0x${block.sizeBytes.toString(16)}: start the destination with the source's memory size`,
      );
    }
    if (guestAddress !== undefined && guestAddress !== BigInt(block.guestAddress)) {
      throw new MigrationError(
        'stream',
        `Mismatched GPAs for block ${name} ${guestAddress.toString(16)} != ${block.guestAddress.toString(16)}`,
      );
    }
    return { name, memory: block.memory, usedBytes: block.sizeBytes };
  });
  const absent = local.find(({ name }) => !seen.has(name));
  if (absent !== undefined) {
    throw new MigrationError('stream', `The source announces no RAM block '${absent.name}', which this machine has`);
  }
  return blocks;
}
