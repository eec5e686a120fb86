// SPDX-License-Identifier: Apache-2.0
/** Progress on a terminal, or line by line where there is none. */
import type { TextSink } from './io.ts';
import { paint } from './style.ts';

/** Redrawing more often helps nobody. */
const REDRAW_MS = 100;
/** Where lines cannot be redrawn, one a second tells enough. */
const PLAIN_MS = 1000;
const DEFAULT_COLUMNS = 80;

export interface ProgressStyle {
  /** Infinity where lines may have any length. */
  readonly columns: number;
  readonly color: boolean;
  /** Bars, where they can be redrawn. */
  readonly bars: boolean;
}

/** The first line stands out; none is wider than the terminal. */
export function cutLines(lines: readonly string[], { columns, color }: ProgressStyle): string[] {
  const cut = (line: string): string => (line.length > columns ? `${line.slice(0, columns - 1)}…` : line);
  const [headline, ...details] = lines.map(cut);
  return [paint(headline ?? '', 'bold', color), ...details.map((line) => paint(line, 'dim', color))];
}

/** Shows progress: redrawn in place on a terminal, one line now and then elsewhere. */
export class ProgressDisplay<Progress extends { readonly phase: string }> {
  readonly #out: TextSink;
  readonly #redraw: boolean;
  readonly #color: boolean;
  readonly #lines: (progress: Progress, style: ProgressStyle) => string[];
  readonly #now: () => number;
  #drawn = 0;
  #phase = '';
  #at = Number.NEGATIVE_INFINITY;

  /** `now`: monotonic milliseconds. */
  constructor(
    out: TextSink,
    style: { readonly redraw: boolean; readonly color: boolean },
    lines: (progress: Progress, style: ProgressStyle) => string[],
    now = () => performance.now(),
  ) {
    this.#out = out;
    this.#redraw = style.redraw;
    this.#color = style.color;
    this.#lines = lines;
    this.#now = now;
  }

  show(progress: Progress): void {
    const samePhase = progress.phase === this.#phase;
    const interval = this.#redraw ? REDRAW_MS : PLAIN_MS;
    if (samePhase && this.#now() - this.#at < interval) return;
    this.#phase = progress.phase;
    this.#at = this.#now();
    if (!this.#redraw) {
      const style = { columns: Number.POSITIVE_INFINITY, color: false, bars: false };
      this.#out.write(`${this.#lines(progress, style).join(' · ')}\n`);
      return;
    }
    // The last column stays free: writing into it moves some terminals to the next line.
    const { columns: wide = 0 } = this.#out; // 0 where the terminal does not know
    const columns = Math.max(20, (wide > 0 ? wide : DEFAULT_COLUMNS) - 1);
    const lines = this.#lines(progress, { columns, color: this.#color, bars: true });
    this.clear();
    this.#out.write(lines.map((line) => `${line}\n`).join(''));
    this.#drawn = lines.length;
  }

  /** Takes what was drawn off the terminal. */
  clear(): void {
    if (this.#drawn > 0) this.#out.write(`\u001b[${String(this.#drawn)}A\r\u001b[J`);
    this.#drawn = 0;
  }
}
