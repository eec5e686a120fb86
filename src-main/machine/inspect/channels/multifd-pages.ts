// SPDX-License-Identifier: Apache-2.0
/**
 * The pages of all multifd channels, brought into the order that matters: between two syncs a page comes at most once, on
 * whichever channel (migration-stream.md 7.5). They become RAM records, so that one loader counts and places all pages.
 */
import { closeSync } from 'node:fs';
import * as wire from '../../engine/stream/wire.ts';
import { native, type Channel } from '../../native/index.ts';
import { MalformedStreamError } from '../inspect-error.ts';
import type { SetupBlock } from '../ram-setup.ts';
import type { MultifdChannel, PacketPages } from './multifd-channel.ts';
import { PacketError } from './multifd-packet.ts';

/** Loads the records of a channel up to EOS. */
export type LoadRecords = (records: Channel) => Promise<void>;

export class MultifdPages {
  readonly #channels: readonly MultifdChannel[];
  readonly #out: Channel;
  readonly #records: Channel;
  /** A mark before the end of a section: the source syncs once a round, and not at every section. */
  #perRound = false;

  constructor(channels: readonly MultifdChannel[]) {
    this.#channels = channels;
    const { readEnd, writeEnd } = native.pipe();
    try {
      this.#out = native.openStream(writeEnd);
      this.#records = native.openStream(readEnd);
    } finally {
      closeSync(readEnd);
      closeSync(writeEnd);
    }
  }

  /** The main channel has a mark of its own, or a section of RAM ends there. `at`: place on the main channel. */
  async onMark(
    mark: 'flush' | 'section-end',
    at: number,
    blocks: readonly SetupBlock[],
    load: LoadRecords,
  ): Promise<void> {
    if (mark === 'flush') this.#perRound = true;
    if (this.#channels.length === 0 || (mark === 'section-end' && this.#perRound)) return;
    for (const channel of this.#channels) {
      const synced = await channel.readToSync((pages) => this.#take(pages, blocks, load));
      if (synced) continue;
      const reason = `the channel ends before its sync ${channel.report.syncs + 1}, for which the main channel waits at byte ${at}`;
      throw new MalformedStreamError(channel.bytesRead, reason, { file: channel.report.file });
    }
  }

  /** What comes behind the last sync. */
  async finish(blocks: readonly SetupBlock[], load: LoadRecords): Promise<void> {
    for (const channel of this.#channels) {
      const synced = await channel.readToSync((pages) => this.#take(pages, blocks, load));
      if (!synced) continue;
      const reason = `the channel has a sync ${channel.report.syncs}, which the main channel does not have`;
      throw new MalformedStreamError(channel.bytesRead, reason, { file: channel.report.file });
    }
  }

  close(): void {
    this.#out.close();
    this.#records.close();
  }

  async #take(pages: PacketPages, blocks: readonly SetupBlock[], load: LoadRecords): Promise<void> {
    const block = blocks.find(({ name }) => name === pages.block);
    if (block === undefined) throw new PacketError(`is for RAM block '${pages.block}', which was not announced`);
    const beyond = [...pages.normal, ...pages.zero].find((offset) => offset >= block.usedBytes);
    if (beyond !== undefined) {
      throw new PacketError(`has a page at 0x${beyond.toString(16)}, beyond the end of RAM block '${block.name}'`);
    }
    for (const part of recordsOf(pages)) this.#out.enqueue(part);
    await load(this.#records);
  }
}

/** The records of a packet's pages, and EOS. */
function recordsOf({ block, normal, zero, data }: PacketPages): Uint8Array[] {
  const name = Buffer.from(block, 'latin1');
  let named = false;
  const head = (offset: number, form: number): Buffer => {
    const bytes = Buffer.alloc(named ? 8 : 9 + name.length);
    const flags = form | (named ? wire.RAM_FLAG_CONTINUE : 0);
    bytes.writeBigUInt64BE(BigInt(offset) | BigInt(flags), 0);
    if (!named) {
      bytes.writeUInt8(name.length, 8);
      name.copy(bytes, 9);
    }
    named = true;
    return bytes;
  };
  const pageAt = (index: number): Uint8Array =>
    data.subarray(index * wire.TARGET_PAGE_SIZE, (index + 1) * wire.TARGET_PAGE_SIZE);
  const end = Buffer.alloc(8);
  end.writeBigUInt64BE(BigInt(wire.RAM_FLAG_EOS), 0);
  return [
    ...normal.flatMap((offset, index) => [head(offset, wire.RAM_FLAG_PAGE), pageAt(index)]),
    ...zero.flatMap((offset) => [head(offset, wire.RAM_FLAG_ZERO), Buffer.alloc(1)]),
    end,
  ];
}
