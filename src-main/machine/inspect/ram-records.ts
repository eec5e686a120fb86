// SPDX-License-Identifier: Apache-2.0
/** RAM sections of a saved stream: the native loader reads the records, this drives it. */
import { inflateSync } from 'node:zlib';
import { messageOf } from '../engine/errors.ts';
import * as wire from '../engine/stream/wire.ts';
import { native } from '../native/index.ts';
import type { Channel, GuestMemory, RamLoader, RamRecordEnd } from '../native/index.ts';
import { InspectError, MalformedStreamError } from './inspect-error.ts';
import { readRamSetup } from './ram-setup.ts';
import type { SetupBlock } from './ram-setup.ts';
import type { RamReport } from './report.ts';

const OPTIONS = { xbzrle: true, compressed: true, statistics: true } as const;

export class RamRecords {
  /** Memory of the largest block, where it is wanted, from the block list on. */
  image: { readonly block: SetupBlock; readonly memory: GuestMemory } | undefined;
  readonly #wantsImage: boolean;
  #setup: { readonly totalBytes: number; readonly blocks: readonly SetupBlock[] } | undefined;
  #loader: RamLoader = new native.RamLoader([], OPTIONS);
  #multifdFlushes = 0;

  constructor(wantsImage: boolean) {
    this.#wantsImage = wantsImage;
  }

  /** Reads the records of one section, up to and with the one that ends it. */
  async readSection(channel: Channel, ignoreShared: boolean): Promise<void> {
    for (;;) {
      const end = await channel.loadRam(this.#loader);
      switch (end.kind) {
        case 'eos':
          return;
        case 'mem-size':
          await this.#readSetup(channel, end.value, ignoreShared);
          break;
        case 'compressed-page':
          await this.#inflate(channel, end);
          break;
        case 'multifd-flush':
          this.#multifdFlushes++;
          break;
        case 'hook':
          throw new MalformedStreamError(channel.bytesRead - 8, 'an RDMA hook: such a stream holds no pages');
      }
    }
  }

  /** Undefined before the block list. */
  report(): RamReport | undefined {
    if (this.#setup === undefined) return undefined;
    const { rounds, blocks } = this.#loader.statistics();
    const counted = new Map(blocks.map(({ name, ...counts }) => [name, counts]));
    const none = { normal: 0, zero: 0, xbzrle: 0, compressed: 0, pages: 0 };
    return {
      totalBytes: this.#setup.totalBytes,
      rounds,
      blocks: this.#setup.blocks.map((block) => ({ ...block, ...(counted.get(block.name) ?? none) })),
      multifdFlushes: this.#multifdFlushes,
    };
  }

  close(): void {
    this.#loader.close();
    this.image?.memory.close();
  }

  async #readSetup(channel: Channel, totalBytes: number, ignoreShared: boolean): Promise<void> {
    if (this.#setup !== undefined) {
      throw new MalformedStreamError(channel.bytesRead - 8, 'the list of RAM blocks comes twice');
    }
    const blocks = await readRamSetup(channel, totalBytes, ignoreShared);
    if (this.#wantsImage) this.image = createImage(blocks);
    const image = this.image;
    this.#loader.close();
    this.#loader = new native.RamLoader(
      blocks.map((block) => ({
        name: block.name,
        usedBytes: block.usedBytes,
        ...(image?.block === block && { memory: image.memory }),
      })),
      OPTIONS,
    );
    this.#setup = { totalBytes, blocks };
  }

  /** One page of the old `compress` capability: a zlib stream of its own. */
  async #inflate(channel: Channel, record: RamRecordEnd): Promise<void> {
    const { block = '', length = 0, value: offset } = record;
    const at = channel.bytesRead;
    const page = inflatePage(await channel.read(length), at);
    if (this.image?.block.name === block) await this.image.memory.write(offset, page);
  }
}

function inflatePage(bytes: Uint8Array, at: number): Buffer {
  let page: Buffer;
  try {
    page = inflateSync(bytes, { maxOutputLength: wire.TARGET_PAGE_SIZE });
  } catch (error) {
    throw new MalformedStreamError(at, `a compressed page cannot be inflated: ${messageOf(error)}`, { cause: error });
  }
  if (page.length === wire.TARGET_PAGE_SIZE) return page;
  throw new MalformedStreamError(at, `a compressed page has ${page.length} bytes when it is inflated`);
}

/** Not populated: only pages with contents take memory. */
function createImage(blocks: readonly SetupBlock[]): { block: SetupBlock; memory: GuestMemory } {
  const [first, ...others] = blocks;
  if (first === undefined) throw new InspectError('IMAGE', 'the stream has no RAM, so there is no image to write');
  const block = others.reduce((largest, other) => (other.usedBytes > largest.usedBytes ? other : largest), first);
  return { block, memory: new native.GuestMemory({ name: block.name, sizeBytes: block.usedBytes }) };
}
