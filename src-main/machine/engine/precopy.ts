// SPDX-License-Identifier: Apache-2.0
/** Copies RAM while the guest runs, pass after pass, and the rest of it when the guest has been stopped. */
import { performance } from 'node:perf_hooks';
import type { RamSaver } from '../native/index.ts';
import type { RamBlock } from './machine-interface.ts';
import { ramSectionId, type OutgoingStream } from './outgoing-stream.ts';
import { RateLimit } from './rate-limit.ts';
import * as wire from './stream/wire.ts';
import * as write from './stream/writer.ts';
import type { SwitchoverEstimate } from './switchover.ts';
import type { TransferStatistics } from './transfer-statistics.ts';

/** Parameters that are read again whenever they matter, so that a change acts on a running migration. */
export interface PrecopyParameters {
  /** Bytes per second; 0: unlimited. */
  readonly maxBandwidth: number;
  readonly downtimeLimitMs: number;
  /** Bytes per second; 0: measured. */
  readonly availSwitchoverBandwidth: number;
}

export interface PrecopyOptions {
  readonly stream: OutgoingStream;
  readonly saver: RamSaver;
  readonly statistics: TransferStatistics;
  readonly estimate: SwitchoverEstimate;
  readonly parameters: () => PrecopyParameters;
  /** Called after every sync of the dirty bitmap with its count. */
  readonly onPass: (pass: number) => void;
  /** Ends the copy; its reason is thrown. */
  readonly signal: AbortSignal;
}

export class Precopy {
  readonly #options: PrecopyOptions;
  readonly #rate = new RateLimit(() => performance.now());
  #writtenAtWindowStart = 0;

  constructor(options: PrecopyOptions) {
    this.#options = options;
  }

  /** Bytes of guest memory that are still dirty. */
  get remainingBytes(): number {
    return this.#options.saver.dirtyPages * wire.TARGET_PAGE_SIZE;
  }

  /** A limit has changed, or the copy is to end: acts now instead of at the end of the window. */
  wake(): void {
    this.#rate.wake();
  }

  /** Starts dirty tracking and sends the block list: the START section. */
  async setUp(blocks: readonly RamBlock[], withAddresses: boolean): Promise<void> {
    const { stream, saver } = this.#options;
    await saver.start();
    this.#countSync(0);
    stream.put(
      write.sectionStart(wire.SECTION_START, ramSectionId, 'ram', 0, wire.RAM_SECTION_VERSION),
      write.ramSetup(blocks, withAddresses),
    );
    stream.endRamSection();
  }

  /** Copies until the guest should be stopped and `ready` has resolved. */
  async copyWhileRunning(ready: Promise<unknown>): Promise<void> {
    const { signal, parameters } = this.#options;
    const peer = { known: false };
    const settled = ready.then(
      () => {
        peer.known = true;
      },
      () => undefined, // the one who waits for its value is told; here the signal ends the copy
    );
    this.#startWindow();
    for (;;) {
      signal.throwIfAborted();
      let finished = false;
      if (this.#options.estimate.worthCounting(this.remainingBytes)) finished = await this.#countAndDecide();
      if (finished && peer.known) return;
      const budget = this.#rate.remainingBytes(parameters().maxBandwidth);
      const idle = finished && this.remainingBytes === 0;
      if (idle) await Promise.race([settled, this.#rate.waitForWindowEnd(signal)]);
      else if (budget > 0 && this.#rate.remainingMs() > 0) await this.#sendPart(budget);
      else await this.#rate.waitForWindowEnd(signal);
      if (this.#rate.remainingMs() === 0) this.#endWindow();
    }
  }

  /** The last pass, with the guest stopped: the END section. */
  async copyRest(): Promise<void> {
    const { stream, saver, statistics, signal } = this.#options;
    await this.#sync();
    stream.put(write.sectionContinue(wire.SECTION_END, ramSectionId));
    for (let passDone = false; !passDone;) {
      const sent = await stream.putPages(saver, { bytes: Infinity, milliseconds: Infinity });
      statistics.addPages(sent);
      passDone = sent.passDone;
      signal.throwIfAborted();
    }
    stream.endRamSection();
  }

  async #countAndDecide(): Promise<boolean> {
    await this.#sync();
    const { downtimeLimitMs } = this.#options.parameters();
    return this.#options.estimate.decide(this.remainingBytes, performance.now(), downtimeLimitMs) === 'switch-over';
  }

  /** One PART section of at most `budget` bytes of records and the rest of the window. */
  async #sendPart(budget: number): Promise<void> {
    const { stream, saver, statistics } = this.#options;
    const before = stream.bytes;
    stream.put(write.sectionContinue(wire.SECTION_PART, ramSectionId));
    statistics.addPages(await stream.putPages(saver, { bytes: budget, milliseconds: this.#rate.remainingMs() }));
    stream.endRamSection();
    const sent = stream.bytes - before;
    statistics.precopyBytes += sent;
    this.#rate.account(sent);
  }

  #startWindow(): number {
    this.#writtenAtWindowStart = this.#options.stream.channel.bytesWritten;
    return this.#rate.startWindow().ms;
  }

  #endWindow(): void {
    const bytes = this.#options.stream.channel.bytesWritten - this.#writtenAtWindowStart;
    const ms = this.#startWindow();
    const { statistics, estimate, parameters } = this.#options;
    statistics.endWindow(bytes, ms);
    estimate.update({ bytes, ms }, parameters(), statistics.dirtyBytesAtLastSync);
  }

  async #sync(): Promise<void> {
    const { newlyDirtyPages } = await this.#options.saver.sync();
    this.#countSync(newlyDirtyPages);
  }

  #countSync(newlyDirtyPages: number): void {
    const { statistics, estimate, saver, onPass } = this.#options;
    const now = performance.now();
    statistics.addSync(now, newlyDirtyPages, saver.dirtyPages);
    estimate.addSync(now, newlyDirtyPages * wire.TARGET_PAGE_SIZE);
    onPass(statistics.syncCount);
  }
}
