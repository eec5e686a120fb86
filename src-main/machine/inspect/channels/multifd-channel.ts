// SPDX-License-Identifier: Apache-2.0
/** One multifd channel of a saved migration, read packet by packet. */
import { isEndOfSource } from '../../engine/vmstate/byte-source.ts';
import * as wire from '../../engine/stream/wire.ts';
import { native, type Channel } from '../../native/index.ts';
import { MalformedStreamError } from '../inspect-error.ts';
import type { MultifdChannelReport } from '../report.ts';
import type { StreamFile } from '../stream-file.ts';
import {
  INITIAL_BYTES,
  PACKET_HEAD_BYTES,
  PacketError,
  parseInitial,
  parsePacketHead,
  type PacketHead,
} from './multifd-packet.ts';
import { PacketInflater } from './packet-inflater.ts';

/** Pages of one block. */
export interface PacketPages {
  readonly block: string;
  readonly normal: readonly number[];
  readonly zero: readonly number[];
  /** Contents of the normal pages, one after another. */
  readonly data: Uint8Array;
}

/** Takes a packet's pages; what it throws as a PacketError is told with the packet's place. */
export type TakePages = (pages: PacketPages) => Promise<void>;

export class MultifdChannel {
  readonly report: MultifdChannelReport;
  readonly #file: StreamFile;
  readonly #channel: Channel;
  #inflater: PacketInflater | undefined;

  private constructor(file: StreamFile, channel: Channel, report: MultifdChannelReport) {
    this.#file = file;
    this.#channel = channel;
    this.report = report;
  }

  static async open(path: string, file: StreamFile): Promise<MultifdChannel> {
    const channel = native.openStream(file.fd);
    try {
      const { id, uuid } = parseInitial(await channel.read(INITIAL_BYTES));
      const gzip = file.gzipBytes === undefined ? {} : { gzipBytes: file.gzipBytes };
      const counts = { packets: 0, syncs: 0, normal: 0, zero: 0 };
      return new MultifdChannel(file, channel, {
        kind: 'multifd',
        file: path,
        bytes: file.bytes,
        ...gzip,
        id,
        uuid,
        ...counts,
      });
    } catch (error) {
      channel.close();
      throw malformed(error, path, 0, file.bytes);
    }
  }

  /** Reads up to the next mark of a sync; false where the channel ends before one. */
  async readToSync(take: TakePages): Promise<boolean> {
    for (;;) {
      const offset = this.#channel.bytesRead;
      try {
        if (await this.#channel.atEnd()) return false;
        if (await this.#readPacket(take)) return true;
      } catch (error) {
        throw malformed(error, this.report.file, offset, this.#file.bytes);
      }
    }
  }

  /** Where it has been read to. */
  get bytesRead(): number {
    return this.#channel.bytesRead;
  }

  close(): void {
    this.#inflater?.close();
    this.#channel.close();
  }

  async #readPacket(take: TakePages): Promise<boolean> {
    const head = parsePacketHead(await this.#channel.read(PACKET_HEAD_BYTES));
    const data = await this.#channel.read(head.dataBytes);
    const { report } = this;
    report.packets += 1;
    report.normal += head.normal.length;
    report.zero += head.zero.length;
    if (head.sync) report.syncs += 1;
    if (head.normal.length > 0) report.compression = head.method;
    if (head.normal.length + head.zero.length > 0) {
      const { block, normal, zero } = head;
      await take({ block, normal, zero, data: await this.#contents(head, data) });
    }
    return head.sync;
  }

  async #contents({ method, normal }: PacketHead, data: Buffer): Promise<Buffer> {
    const bytes = normal.length * wire.TARGET_PAGE_SIZE;
    switch (method) {
      case 'none':
        return data;
      case 'zlib':
      case 'zstd':
        if (bytes === 0) return data;
        this.#inflater ??= new PacketInflater(method);
        if (this.#inflater.method !== method) {
          throw new PacketError(`is compressed by ${method}, those before it by ${this.#inflater.method}`);
        }
        return await this.#inflater.inflate(data, bytes);
      case 'qpl':
      case 'uadk':
      case 'qatzip':
        throw new PacketError(`is compressed by ${method}, which is not read`);
    }
  }
}

function malformed(error: unknown, file: string, offset: number, end: number): unknown {
  if (error instanceof PacketError) {
    return new MalformedStreamError(offset, `the packet ${error.message}`, { cause: error, file });
  }
  if (isEndOfSource(error)) {
    const reason = `the channel ends inside the packet that begins at byte ${offset}`;
    return new MalformedStreamError(end, reason, { cause: error, file });
  }
  return error;
}
