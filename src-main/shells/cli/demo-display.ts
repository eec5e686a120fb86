// SPDX-License-Identifier: Apache-2.0
import type { DemoProgress } from '../../manager/demo.ts';
import { progressLines } from './demo-progress.ts';
import type { TextSink } from './io.ts';

/** Redrawing more often helps nobody. */
const REDRAW_MS = 100;
/** Where lines cannot be redrawn, one a second tells enough. */
const PLAIN_MS = 1000;
const DEFAULT_COLUMNS = 80;

/** Shows progress: redrawn in place on a terminal, one line now and then elsewhere. */
export class DemoDisplay {
  readonly #out: TextSink;
  readonly #redraw: boolean;
  readonly #color: boolean;
  readonly #now: () => number;
  #drawn = 0;
  #phase = '';
  #at = Number.NEGATIVE_INFINITY;

  /** `now`: monotonic milliseconds. */
  constructor(
    out: TextSink,
    style: { readonly redraw: boolean; readonly color: boolean },
    now = () => performance.now(),
  ) {
    this.#out = out;
    this.#redraw = style.redraw;
    this.#color = style.color;
    this.#now = now;
  }

  show(progress: DemoProgress): void {
    const samePhase = progress.phase === this.#phase;
    const interval = this.#redraw ? REDRAW_MS : PLAIN_MS;
    if (samePhase && this.#now() - this.#at < interval) return;
    this.#phase = progress.phase;
    this.#at = this.#now();
    if (!this.#redraw) {
      const style = { columns: Number.POSITIVE_INFINITY, color: false, bars: false };
      this.#out.write(`${progressLines(progress, style).join(' · ')}\n`);
      return;
    }
    // The last column stays free: writing into it moves some terminals to the next line.
    const { columns: wide = 0 } = this.#out; // 0 where the terminal does not know
    const columns = Math.max(20, (wide > 0 ? wide : DEFAULT_COLUMNS) - 1);
    const lines = progressLines(progress, { columns, color: this.#color, bars: true });
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
