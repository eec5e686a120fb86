// SPDX-License-Identifier: Apache-2.0
/** Where a window is. What the app sets holds at once; Chromium follows, and what the user changes comes back. */
import type { PageLink } from '../page/page-link.ts';
import type { OpenedTarget, Rectangle, Targets } from '../chromium/targets.ts';

/** Resizing takes effect late: the size of the page once it has not changed for some frames. */
const SETTLED_SIZE = `new Promise((resolve) => {
  let last = '';
  let same = 0;
  const look = () => {
    const now = [innerWidth, innerHeight, outerWidth, outerHeight].join();
    same = now === last ? same + 1 : 0;
    last = now;
    if (same >= 4) resolve([innerWidth, innerHeight]);
    else setTimeout(look, 16);
  };
  look();
})`;
const ATTEMPTS = 4;

type Change = 'resize' | 'move';

export class WindowGeometry {
  #bounds: Rectangle;
  /** To go back to from maximised and full screen. */
  #normal: Rectangle;
  readonly #emit: (change: Change) => void;
  #connected: { readonly targets: Targets; readonly target: OpenedTarget } | null = null;
  /** What Chromium draws around the page. Electron counts the page, and leaves the frame to the window manager. */
  #frame = { width: 0, height: 0 };
  #pushed: Promise<void> = Promise.resolve();

  constructor(bounds: Rectangle, emit: (change: Change) => void) {
    this.#bounds = bounds;
    this.#normal = bounds;
    this.#emit = emit;
  }

  get bounds(): Rectangle {
    return { ...this.#bounds };
  }

  get normal(): Rectangle {
    return { ...this.#normal };
  }

  /** The Chromium window is there. It gets the size with which its page has the size that was asked for. */
  async connect(targets: Targets, target: OpenedTarget, page: PageLink): Promise<void> {
    this.#connected = { targets, target };
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      await this.#push();
      const [width = 0, height = 0] = (await page.evaluate(SETTLED_SIZE)) as number[];
      const missing = { width: this.#bounds.width - width, height: this.#bounds.height - height };
      if (missing.width === 0 && missing.height === 0) return;
      this.#frame = { width: this.#frame.width + missing.width, height: this.#frame.height + missing.height };
    }
  }

  /** `isNormal` is false for bounds that are only for a while. */
  set(bounds: Rectangle, isNormal: boolean): void {
    const before = this.#bounds;
    this.#bounds = { x: bounds.x, y: bounds.y, width: bounds.width, height: bounds.height };
    if (isNormal) this.#normal = this.#bounds;
    void this.#push();
    this.#tell(before);
  }

  /** The page has another size: if it is not the one that the app set, somebody dragged the window's edge. */
  async refresh(isNormal: boolean): Promise<void> {
    if (this.#connected === null) return;
    const { targets, target } = this.#connected;
    await this.#pushed;
    const whole = await targets.bounds(target.targetId);
    const before = this.#bounds;
    const width = whole.width - this.#frame.width;
    const height = whole.height - this.#frame.height;
    this.#bounds = { x: whole.x, y: whole.y, width, height };
    if (isNormal) this.#normal = this.#bounds;
    this.#tell(before);
  }

  #push(): Promise<void> {
    const connected = this.#connected;
    if (connected === null) return Promise.resolve();
    const { x, y, width, height } = this.#bounds;
    const whole = { x, y, width: width + this.#frame.width, height: height + this.#frame.height };
    // A window that is gone has no size.
    this.#pushed = connected.targets.setBounds(connected.target.windowId, whole).catch(() => undefined);
    return this.#pushed;
  }

  #tell(before: Rectangle): void {
    const { x, y, width, height } = this.#bounds;
    if (before.width !== width || before.height !== height) this.#emit('resize');
    if (before.x !== x || before.y !== y) this.#emit('move');
  }
}
