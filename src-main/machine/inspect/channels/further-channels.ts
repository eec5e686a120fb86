// SPDX-License-Identifier: Apache-2.0
/** The channels beside the main one that were saved with a migration: each says by its first bytes what it is. */
import * as wire from '../../engine/stream/wire.ts';
import { native, type Channel } from '../../native/index.ts';
import { InspectError, MalformedStreamError } from '../inspect-error.ts';
import type { ChannelReport, PreemptChannelReport, ResumedChannelReport } from '../report.ts';
import { StreamFile } from '../stream-file.ts';
import { MultifdChannel } from './multifd-channel.ts';
import { MULTIFD_MAGIC } from './multifd-packet.ts';

interface OpenedChannel<T extends ChannelReport> {
  readonly file: StreamFile;
  readonly channel: Channel;
  readonly report: T;
}

/** A migration has at most 255 multifd channels, and may have been recovered a few times. */
const MAX_CHANNELS = 300;
/** Content type and major version of a TLS record. */
const TLS_HANDSHAKE = 0x1603;
/** RAM records have one of these in the low bits of their first eight bytes. */
const RECORD_FORMS = wire.RAM_FLAG_PAGE | wire.RAM_FLAG_ZERO | wire.RAM_FLAG_XBZRLE | wire.RAM_FLAG_EOS;

export class FurtherChannels {
  readonly multifd: MultifdChannel[] = [];
  /** Bare RAM records. */
  readonly preempt: OpenedChannel<PreemptChannelReport>[] = [];
  /** Main channels after a recovery, in their order. */
  readonly resumed: OpenedChannel<ResumedChannelReport>[] = [];
  readonly files: StreamFile[] = [];

  /** Opens them all, or none and throws. */
  static async open(paths: readonly string[]): Promise<FurtherChannels> {
    if (paths.length > MAX_CHANNELS) throw new InspectError('FILE', `at most ${MAX_CHANNELS} channels can be read`);
    const channels = new FurtherChannels();
    try {
      for (const path of paths) await channels.#open(path);
      channels.#checkNumbers();
      return channels;
    } catch (error) {
      await channels.close();
      if (!(error instanceof MalformedStreamError)) throw error;
      throw new InspectError('STREAM', `${error.file ?? ''}: byte ${error.offset}: ${error.message}`, { cause: error });
    }
  }

  /** In the order in which they are told. */
  get reports(): ChannelReport[] {
    return [
      ...this.multifd.map(({ report }) => report).sort((a, b) => a.id - b.id),
      ...this.preempt.map(({ report }) => report),
      ...this.resumed.map(({ report }) => report),
    ];
  }

  async close(): Promise<void> {
    for (const channel of this.multifd) channel.close();
    for (const { channel } of [...this.preempt, ...this.resumed]) channel.close();
    await Promise.all(this.files.map((file) => file.close()));
  }

  async #open(path: string): Promise<void> {
    const file = await StreamFile.open(path);
    this.files.push(file);
    const common = {
      file: path,
      bytes: file.bytes,
      ...(file.gzipBytes !== undefined && { gzipBytes: file.gzipBytes }),
    };
    switch (await kindOf(path, file)) {
      case 'multifd':
        this.multifd.push(await MultifdChannel.open(path, file));
        break;
      case 'preempt':
        this.preempt.push({
          file,
          channel: native.openStream(file.fd),
          report: { kind: 'preempt', ...common, normal: 0, zero: 0 },
        });
        break;
      case 'resumed':
        this.resumed.push({
          file,
          channel: native.openStream(file.fd),
          report: { kind: 'resumed', ...common, commands: [], sections: [], notes: [] },
        });
    }
  }

  #checkNumbers(): void {
    const seen = new Map<number, string>();
    for (const { report } of this.multifd) {
      const other = seen.get(report.id);
      if (other !== undefined) {
        throw new InspectError('FILE', `${other} and ${report.file} are both multifd channel ${report.id}`);
      }
      seen.set(report.id, report.file);
    }
    const missing = Array.from({ length: Math.max(-1, ...seen.keys()) + 1 }, (_, id) => id).find((id) => !seen.has(id));
    if (missing !== undefined)
      throw new InspectError('FILE', `multifd channel ${missing} is missing: give its file, too`);
  }
}

async function kindOf(path: string, file: StreamFile): Promise<ChannelReport['kind']> {
  const head = await file.readAt(0, 8);
  // Older releases open the channel for urgent pages at the start, and may never use it.
  if (head.length === 0) return 'preempt';
  const word = head.length < 4 ? 0 : head.readUInt32BE(0);
  if (word === MULTIFD_MAGIC) return 'multifd';
  if (word === wire.FILE_MAGIC) throw new InspectError('FILE', `${path} is a main channel: there can be one only`);
  if (word >>> 16 === TLS_HANDSHAKE) throw new InspectError('FILE', `${path} is encrypted (TLS): it cannot be read`);
  const [type] = head;
  if (type === wire.SECTION_COMMAND || type === wire.SECTION_PART) return 'resumed';
  const form = head.length === 8 ? Number(head.readBigUInt64BE(0) & BigInt(wire.TARGET_PAGE_SIZE - 1)) : 0;
  if ((form & RECORD_FORMS) !== 0 && (form & wire.RAM_FLAG_CONTINUE) === 0) return 'preempt';
  throw new InspectError('FILE', `${path} is no channel of a migration: it begins with ${head.toString('hex')}`);
}
