// SPDX-License-Identifier: Apache-2.0
/**
 * What runs in a machine without vCPUs: a host thread that writes to its RAM at a set rate, so that there is live memory
 * to move. It belongs to this machine, not to the guest: a destination does not inherit it.
 */
import { MigrationError } from '../engine/errors.ts';
import { native, type DirtyWriter, type GuestMemory } from '../native/index.ts';

const pageBytes = 4096;
/** The native thread's limit: it sleeps for most of the time up to this rate. */
export const maxPagesPerSecond = 1_000_000;

export interface WriterLoad {
  /** 0: nothing is written. */
  readonly pagesPerSecond: number;
  /** From guest physical address 0. */
  readonly workingSetBytes: number;
  readonly seed: bigint;
}

export class MemoryWriter {
  readonly #memoryBytes: number;
  readonly #writer: DirtyWriter;
  #load: WriterLoad | undefined;
  /** Between start() and stop(): a load that is set acts at once. */
  #enabled = false;

  constructor(memory: GuestMemory) {
    this.#memoryBytes = memory.sizeBytes;
    this.#writer = new native.DirtyWriter(memory);
  }

  /** Pages written since the machine was created; a page counts as often as it was written. */
  get pagesWritten(): number {
    return this.#writer.pagesWritten;
  }

  /** Lets it write with the load that was set, if any. */
  start(): void {
    this.#enabled = true;
    this.#writeIfAllowed();
  }

  /** Resolves when nothing is written any more and all that was written is marked for the dirty bitmap. */
  async stop(): Promise<void> {
    this.#enabled = false;
    await this.#writer.stop();
  }

  /** Replaces the load; with 0 pages a second nothing is written once it resolves. Throws a sentence for what cannot be. */
  async setLoad({ pagesPerSecond, workingSetBytes = this.#memoryBytes, seed = 1n }: LoadRequest): Promise<void> {
    const load = { pagesPerSecond, workingSetBytes, seed };
    checkLoad(load, this.#memoryBytes);
    this.#load = pagesPerSecond === 0 ? undefined : load;
    await this.#writer.stop();
    this.#writeIfAllowed();
  }

  /** Stops and joins the thread. */
  close(): void {
    this.#enabled = false;
    this.#writer.close();
  }

  /** Looks at both conditions as they are now: a stop or another load may have come since it was asked for. */
  #writeIfAllowed(): void {
    if (this.#enabled && this.#load !== undefined) this.#writer.start(this.#load);
  }
}

export interface LoadRequest {
  readonly pagesPerSecond: number;
  /** All of RAM where it is left out. */
  readonly workingSetBytes?: number | undefined;
  readonly seed?: bigint | undefined;
}

function checkLoad({ pagesPerSecond, workingSetBytes }: WriterLoad, memoryBytes: number): void {
  if (pagesPerSecond < 0 || pagesPerSecond > maxPagesPerSecond) {
    throw new MigrationError('unsupported', `Parameter 'pages-per-second' expects 0 to ${maxPagesPerSecond}`);
  }
  if (workingSetBytes < pageBytes || workingSetBytes > memoryBytes || workingSetBytes % pageBytes !== 0) {
    throw new MigrationError(
      'unsupported',
      `Parameter 'working-set' expects a multiple of ${pageBytes} up to ${memoryBytes}, the size of RAM in bytes`,
    );
  }
}
