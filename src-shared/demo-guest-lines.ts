// SPDX-License-Identifier: Apache-2.0
/**
 * What the demo guest says on its serial port, one line each:
 *
 *     cpu=<n> gen=<decimal> sweep=<n> static=<n>     progress, about ten times a second
 *     CORRUPT page=<n> cpu=<n> gen=<n>               a page does not hold what this vCPU left there
 *     CORRUPT reg=<name> cpu=<n>                     a register does not hold its canary
 */

export type DemoGuestLine =
  | {
      readonly kind: 'progress';
      readonly cpu: number;
      /** Pages of its slice that the vCPU has rewritten so far. */
      readonly generation: bigint;
      /** Complete sweeps over the vCPU's slice of the working set. */
      readonly sweep: bigint;
      /** Complete checksum passes over memory outside the working set. */
      readonly staticPasses: bigint;
    }
  | { readonly kind: 'corrupt'; readonly text: string };

const PROGRESS = /^cpu=(\d{1,3}) gen=(\d{1,20}) sweep=(\d{1,20}) static=(\d{1,20})$/;

/** The meaning of one complete line (without its line end), or `undefined` for anything else. */
export function parseDemoGuestLine(line: string): DemoGuestLine | undefined {
  if (line.startsWith('CORRUPT')) return { kind: 'corrupt', text: line };
  const match = PROGRESS.exec(line);
  if (!match) return undefined;
  const [, cpu = '', generation = '', sweep = '', staticPasses = ''] = match;
  return {
    kind: 'progress',
    cpu: Number(cpu),
    generation: BigInt(generation),
    sweep: BigInt(sweep),
    staticPasses: BigInt(staticPasses),
  };
}

/** Longest line that is kept; a guest that never ends its line cannot make us hoard. */
const MAX_LINE = 256;

/** Cuts serial output, which arrives in pieces, into complete lines. */
export class DemoGuestLineReader {
  #rest = '';

  /** Takes the next piece of output; answers the lines that it completed and that mean something. */
  push(text: string): DemoGuestLine[] {
    const pieces = (this.#rest + text).split('\n');
    this.#rest = (pieces.pop() ?? '').slice(0, MAX_LINE);
    const lines: DemoGuestLine[] = [];
    for (const piece of pieces) {
      const line = parseDemoGuestLine(piece.replace(/\r$/, '').slice(0, MAX_LINE));
      if (line) lines.push(line);
    }
    return lines;
  }
}
