// SPDX-License-Identifier: Apache-2.0
/** What is measured: one row is one kind of transfer, done by every contestant in turn. Pure. */

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

export type RamContent = 'random' | 'zero';
export type Transport = 'tcp' | 'unix';

export interface BenchRow {
  /** Short and stable: `random-1G-tcp`. */
  readonly id: string;
  readonly content: RamContent;
  /** RAM of either end, bytes. */
  readonly memoryBytes: number;
  readonly transport: Transport;
  /** Measured rounds, after one for warming up. */
  readonly pairs: number;
}

export interface RowSelection {
  /** A quarter of the memory and few rounds: for a look, not for a figure to quote. */
  readonly quick: boolean;
  /** Rounds of every row, instead of the row's own number. */
  readonly pairs?: number;
}

/** The main row: random RAM, where every page crosses the wire, on one tcp channel. It comes first. */
export const MAIN_ROW = 'random-1G-tcp';

/** Pages that differ cost bandwidth, zero pages cost looking at them: the two ends of what a guest's RAM can be. */
export function benchRows({ quick, pairs }: RowSelection): BenchRow[] {
  const row = (content: RamContent, transport: Transport, rounds: number): BenchRow => {
    const fullBytes = content === 'random' ? GIB : 4 * GIB;
    const size = quick ? `${String(fullBytes / 4 / MIB)}M` : `${String(fullBytes / GIB)}G`;
    return {
      id: `${content}-${size}-${transport}`,
      content,
      memoryBytes: quick ? fullBytes / 4 : fullBytes,
      transport,
      pairs: pairs ?? (quick ? 3 : rounds),
    };
  };
  return [row('random', 'tcp', 9), row('random', 'unix', 5), row('zero', 'tcp', 3), row('zero', 'unix', 3)];
}
