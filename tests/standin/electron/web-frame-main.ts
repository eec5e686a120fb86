// SPDX-License-Identifier: Apache-2.0
/** A frame of a page, as the main process sees it: the same object as long as the frame is there. */
import { fromCarried, originOf } from '../page/carried-url.ts';
import type { PageLink } from '../page/page-link.ts';
import { StrictObject } from '../strict.ts';
import type { Conforms } from '../conforms.ts';

let lastRoutingId = 0;

export class WebFrameMain extends StrictObject {
  readonly routingId = ++lastRoutingId;
  readonly frameTreeNodeId = this.routingId;
  readonly processId: number;
  readonly #id: string;
  readonly #page: PageLink;
  readonly #frames: FrameObjects;

  constructor(id: string, page: PageLink, frames: FrameObjects, processId: number) {
    super();
    this.#id = id;
    this.#page = page;
    this.#frames = frames;
    this.processId = processId;
  }

  get url(): string {
    return fromCarried(this.#page.frames.get(this.#id)?.url ?? '');
  }

  get origin(): string {
    return originOf(this.url);
  }

  get name(): string {
    return this.#page.frames.get(this.#id)?.name ?? '';
  }

  get parent(): WebFrameMain | null {
    const parentId = this.#page.frames.get(this.#id)?.parentId ?? null;
    return parentId === null ? null : this.#frames.get(parentId);
  }

  get top(): WebFrameMain {
    return this.#frames.get(this.#page.mainFrameId);
  }

  get frames(): WebFrameMain[] {
    return [...this.#page.frames.values()]
      .filter(({ parentId }) => parentId === this.#id)
      .map(({ id }) => this.#frames.get(id));
  }

  get detached(): boolean {
    return !this.#page.frames.has(this.#id);
  }

  isDestroyed(): boolean {
    return this.detached;
  }

  send(channel: string, ...args: unknown[]): void {
    this.#page.deliver(this.#id, { is: 'event', channel, args });
  }
}

export type CheckedWebFrameMain = Conforms<
  Pick<
    Electron.WebFrameMain,
    'routingId' | 'frameTreeNodeId' | 'processId' | 'url' | 'origin' | 'name' | 'detached' | 'isDestroyed' | 'send'
  >,
  WebFrameMain
>;

/** The frames of one page. */
export class FrameObjects {
  readonly #page: PageLink;
  readonly #processId: number;
  readonly #known = new Map<string, WebFrameMain>();

  constructor(page: PageLink, processId: number) {
    this.#page = page;
    this.#processId = processId;
  }

  get(id: string): WebFrameMain {
    const known = this.#known.get(id) ?? new WebFrameMain(id, this.#page, this, this.#processId);
    this.#known.set(id, known);
    return known;
  }
}
