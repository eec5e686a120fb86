// SPDX-License-Identifier: Apache-2.0
/** Opens Chromium windows for the stand-in's, and tells what happens to them. */
import type { Cdp, Protocol, Session } from './cdp.ts';
import type { ChromiumProcess } from './process.ts';

/** What a window shows until its app loads something; scripts leave it alone. */
export const START_PAGE = 'data:text/html,<title></title>';

export interface OpenedTarget {
  readonly targetId: string;
  readonly windowId: number;
  readonly session: Session;
}

export interface TargetListener {
  crashed(status: string, exitCode: number): void;
  closed(): void;
}

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

type Attached = Protocol.Target.attachedToTargetPayload;

export class Targets {
  readonly #cdp: Cdp;
  readonly #chromium: ChromiumProcess;
  readonly #listeners = new Map<string, TargetListener>();
  #awaited: ((attached: Attached) => void) | null = null;
  #lastOpening: Promise<unknown> = Promise.resolve();

  private constructor(cdp: Cdp, chromium: ChromiumProcess) {
    this.#cdp = cdp;
    this.#chromium = chromium;
  }

  static async start(cdp: Cdp, chromium: ChromiumProcess): Promise<Targets> {
    const targets = new Targets(cdp, chromium);
    const { browser } = cdp;
    const filter = [{ type: 'page' }];
    browser.on('Target.attachedToTarget', (attached) => targets.#attached(attached));
    browser.on('Target.targetDestroyed', ({ targetId }) => targets.#listeners.get(targetId)?.closed());
    browser.on('Target.targetCrashed', ({ targetId, status, errorCode }) =>
      targets.#listeners.get(targetId)?.crashed(status, errorCode),
    );
    browser.on('Target.detachedFromTarget', ({ sessionId }) => cdp.forget(sessionId));
    await browser.send('Target.setDiscoverTargets', { discover: true, filter });
    // Held at the start, so that a window can be refused before it has loaded anything.
    await browser.send('Target.setAutoAttach', {
      autoAttach: true,
      waitForDebuggerOnStart: true,
      flatten: true,
      filter,
    });
    return targets;
  }

  /** One after another: a new target says by nothing else whose it is. */
  open(bounds: Rectangle): Promise<OpenedTarget> {
    const opening = this.#lastOpening.then(() => this.#open(bounds));
    this.#lastOpening = opening.catch(() => undefined);
    return opening;
  }

  listen(targetId: string, listener: TargetListener): void {
    this.#listeners.set(targetId, listener);
  }

  close(targetId: string): void {
    this.#cdp.browser.post('Target.closeTarget', { targetId });
  }

  /** The whole window, with what Chromium draws around the page. */
  async setBounds(windowId: number, { x, y, width, height }: Rectangle): Promise<void> {
    const bounds = { left: x, top: y, width, height };
    await this.#cdp.browser.send('Browser.setWindowBounds', { windowId, bounds });
  }

  async bounds(targetId: string): Promise<Rectangle> {
    const { bounds } = await this.#cdp.browser.send('Browser.getWindowForTarget', { targetId });
    const { left = 0, top = 0, width = 0, height = 0 } = bounds;
    return { x: left, y: top, width, height };
  }

  async #open({ x, y, width, height }: Rectangle): Promise<OpenedTarget> {
    const { browser } = this.#cdp;
    const attached = new Promise<Attached>((resolve) => {
      this.#awaited = resolve;
    });
    if (this.#chromium.isHeadless) {
      // Headless takes no second start; its windows have tabs that nobody sees.
      const asked = browser.send('Target.createTarget', { url: START_PAGE, newWindow: true, width, height });
      asked.catch(() => undefined);
    } else this.#chromium.openAppWindow(START_PAGE);
    const { sessionId, targetInfo } = await attached;
    const { targetId } = targetInfo;
    const { windowId } = await browser.send('Browser.getWindowForTarget', { targetId });
    await this.setBounds(windowId, { x, y, width, height });
    return { targetId, windowId, session: this.#cdp.session(sessionId) };
  }

  #attached(attached: Attached): void {
    const { targetInfo, sessionId } = attached;
    const session = this.#cdp.session(sessionId);
    // A page's scripts have let a window slip through.
    if (targetInfo.openerId !== undefined) {
      this.close(targetInfo.targetId);
      // Held any longer, it would hold the page that opened it: both are in one renderer.
      session.post('Runtime.runIfWaitingForDebugger');
    } else if (this.#awaited !== null) {
      const resolve = this.#awaited;
      this.#awaited = null;
      resolve(attached);
    } else session.post('Runtime.runIfWaitingForDebugger');
  }
}
