// SPDX-License-Identifier: Apache-2.0
import type { StreamDialect } from '../../../src-shared/migration/peer-release.ts';
import type { Channel, RamSaver, RamSendBudget, RamSendResult } from '../native/index.ts';
import type { EngineMachine } from './machine-interface.ts';
import * as wire from './stream/wire.ts';
import * as write from './stream/writer.ts';
import { vmdescText } from './vmstate/vmdesc-text.ts';

/** Section ids are labels of one stream; RAM's is the first, devices follow. */
export const ramSectionId = 1;

/** The main channel of an outgoing migration, counting what goes onto it. */
export class OutgoingStream {
  readonly channel: Channel;
  readonly #footers: boolean;
  #bytes = 0;
  #endOfState = Infinity;

  /** `footers`: every section ends with one. */
  constructor(channel: Channel, footers: boolean) {
    this.channel = channel;
    this.#footers = footers;
  }

  /** Bytes put on the channel so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the kernel has taken all of the state, its end included: the destination may have the guest. */
  get stateWritten(): boolean {
    return this.channel.bytesWritten >= this.#endOfState;
  }

  put(...parts: readonly Uint8Array[]): void {
    for (const part of parts) {
      this.channel.enqueue(part);
      this.#bytes += part.length;
    }
  }

  /** RAM records of dirty pages, without framing. */
  async putPages(saver: RamSaver, budget: RamSendBudget): Promise<RamSendResult> {
    const sent = await saver.send(this.channel, budget);
    this.#bytes += sent.bytes;
    return sent;
  }

  /** End of a RAM section: EOS and footer. */
  endRamSection(): void {
    this.put(write.ramEndOfSection(), ...this.#footer(ramSectionId));
  }

  #footer(id: number): Uint8Array[] {
    return this.#footers ? [write.sectionFooter(id)] : [];
  }

  /** One FULL section a device and the end of the state; answers its description. The guest is stopped. */
  async putState(machine: EngineMachine, dialect: StreamDialect): Promise<string> {
    const sections = await machine.saveSections(dialect);
    sections.forEach((section, index) => {
      const id = ramSectionId + 1 + index;
      this.put(
        write.sectionStart(wire.SECTION_FULL, id, section.idstr, section.instanceId, section.version),
        section.payload,
        ...this.#footer(id),
      );
    });
    this.put(write.endOfStream());
    this.#endOfState = this.#bytes;
    return vmdescText(
      wire.TARGET_PAGE_SIZE,
      sections.map((section) => section.description),
    );
  }
}
