// SPDX-License-Identifier: Apache-2.0
/** RAM sections of a saved stream: the native loader reads the records, this drives it. */
import { inflateSync } from 'node:zlib';
import { messageOf } from '../engine/errors.ts';
import * as wire from '../engine/stream/wire.ts';
import { native } from '../native/index.ts';
import type { Channel, GuestMemory, RamLoader, RamRecordEnd } from '../native/index.ts';
import type { MultifdPages } from './channels/multifd-pages.ts';
import { InspectError, MalformedStreamError } from './inspect-error.ts';
import { readRamSetup } from './ram-setup.ts';
import type { SetupBlock } from './ram-setup.ts';
import type { RamReport } from './report.ts';

const OPTIONS = { xbzrle: true, compressed: true, statistics: true } as const;

export class RamRecords {
  /** Memory of the largest block, where it is wanted, from the block list on. */
  image: { readonly block: SetupBlock; readonly memory: GuestMemory } | undefined;
  readonly #wantsImage: boolean;
  readonly #multifd: MultifdPages;
  #setup: { readonly totalBytes: number; readonly blocks: readonly SetupBlock[] } | undefined;
  #loader: RamLoader = new native.RamLoader([], OPTIONS);
  #multifdFlushes = 0;

  /** `multifd`: where pages are that the main channel does not have; closed with this. */
  constructor(wantsImage: boolean, multifd: MultifdPages) {
    this.#wantsImage = wantsImage;
    this.#multifd = multifd;
  }

  /** Reads the records of one section, up to and with the one that ends it. */
  async readSection(channel: Channel, ignoreShared: boolean): Promise<void> {
    for (;;) {
      const end = await channel.loadRam(this.#loader);
      switch (end.kind) {
        case 'eos':
          await this.#mark('section-end', channel);
          return;
        case 'mem-size':
          await this.#readSetup(channel, end.value, ignoreShared);
          break;
        case 'compressed-page':
          await this.#inflate(channel, end);
          break;
        case 'multifd-flush':
          this.#multifdFlushes++;
          await this.#mark('flush', channel);
          break;
        case 'hook':
          throw new MalformedStreamError(channel.bytesRead - 8, 'an RDMA hook: such a stream holds no pages');
      }
    }
  }

  /** What the multifd channels have behind their last sync. */
  async finishMultifd(): Promise<void> {
    await this.#multifd.finish(this.#setup?.blocks ?? [], (records) => this.#loadRecords(records));
  }

  /** Reads a channel that holds nothing but records, to its end; answers how many pages of either form it had. */
  async readBare(channel: Channel): Promise<{ readonly normal: number; readonly zero: number }> {
    const [normal, zero] = [this.#loader.normalPages, this.#loader.zeroPages];
    const end = await channel.loadRam(this.#loader, { bare: true });
    if (end.kind !== 'eos') throw new MalformedStreamError(channel.bytesRead - 8, `a record '${end.kind}' among pages`);
    return { normal: this.#loader.normalPages - normal, zero: this.#loader.zeroPages - zero };
  }

  async #mark(mark: 'flush' | 'section-end', channel: Channel): Promise<void> {
    const blocks = this.#setup?.blocks ?? [];
    await this.#multifd.onMark(mark, channel.bytesRead - 8, blocks, (records) => this.#loadRecords(records));
  }

  async #loadRecords(records: Channel): Promise<void> {
    await records.loadRam(this.#loader);
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
    this.#multifd.close();
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
