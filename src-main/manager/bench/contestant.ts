// SPDX-License-Identifier: Apache-2.0
import type { MachineLink } from '../machines/link.ts';

/** One machine process at one end of a transfer. */
export interface BenchEnd {
  readonly pid: number;
  readonly link: MachineLink;
  /** A private folder, which is removed with the end. */
  readonly folder: string;
  /** Rejects when the process ends by itself. Never resolves. */
  readonly failure: Promise<never>;
  /** Ends the process and waits for that: its memory is free again. */
  dispose(): Promise<void>;
}

export interface EndOptions {
  readonly role: 'source' | 'destination';
  readonly memoryBytes: number;
  /** Source only: what RAM holds, a file as long as RAM; absent: RAM is zero. */
  readonly image?: string;
  readonly signal: AbortSignal;
}

/** A kind of machine that takes part. */
export interface Contestant {
  /** `Godwit 0.1.0`, `QEMU 7.2.22`. */
  readonly name: string;
  /** Starts an end: stopped, its memory touched, its monitor connected, a destination waiting for `migrate-incoming`. */
  startEnd(options: EndOptions): Promise<BenchEnd>;
}
