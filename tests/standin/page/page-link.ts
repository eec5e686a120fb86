// SPDX-License-Identifier: Apache-2.0
/** One page over the DevTools protocol: its frames, its isolated worlds and what is loaded into it. */
import type { Protocol, Session } from '../chromium/cdp.ts';
import { START_PAGE } from '../chromium/targets.ts';
import { codec } from './codec.ts';
import { BINDING, RECEIVER, WORLD, type FromPage, type ToPage } from './messages.ts';
import type { PageScripts } from './scripts.ts';

export interface Frame {
  readonly id: string;
  readonly parentId: string | null;
  url: string;
  name: string;
}

/** Who is told what happens in the page. URLs are Chromium's. */
export interface PageOwner {
  message(message: FromPage, frameId: string): void;
  request(paused: Protocol.Fetch.requestPausedPayload, isPageStarted: boolean): Promise<void>;
  navigated(frame: Frame, unreachableUrl: string | undefined): void;
  navigatedInPage(frame: Frame, url: string): void;
  loaded(): void;
  said(level: string, message: string, line: number, source: string): void;
  worldCreated(): void;
  socketOpened(url: string): void;
}

export class PageLink {
  readonly session: Session;
  readonly frames = new Map<string, Frame>();
  mainFrameId = '';
  isCrashed = false;
  #startPageShown: () => void = () => undefined;
  readonly #startPage = new Promise<void>((resolve) => {
    this.#startPageShown = resolve;
  });
  readonly #owner: PageOwner;
  /** The isolated world of a frame, by execution context and back. */
  readonly #frameOfContext = new Map<number, string>();
  /** Navigations that the page asked for and that have not been requested yet. */
  readonly #asked = new Set<string>();

  constructor(session: Session, owner: PageOwner) {
    this.session = session;
    this.#owner = owner;
    this.#listenToFrames();
    this.#listenToWorlds();
    this.#listenToRequests();
  }

  /** To be done before anything is loaded; survives reloads and new renderers. */
  async start(scripts: PageScripts): Promise<void> {
    const { session } = this;
    const done = [
      session.send('Page.enable'),
      session.send('Runtime.enable'),
      session.send('Network.enable'),
      session.send('Runtime.addBinding', { name: BINDING, executionContextName: WORLD }),
      session.send('Page.addScriptToEvaluateOnNewDocument', { source: scripts.mainWorld }),
      session.send('Page.addScriptToEvaluateOnNewDocument', { source: scripts.isolatedWorld, worldName: WORLD }),
      session.send('Fetch.enable', { patterns: [{ urlPattern: '*' }] }),
      session.send('Runtime.runIfWaitingForDebugger'),
    ];
    await Promise.all(done);
    const { frameTree } = await session.send('Page.getFrameTree');
    this.mainFrameId = frameTree.frame.id;
    if (!this.frames.has(this.mainFrameId)) this.#keepFrame(frameTree.frame);
    // Until it is there, whatever runs in the page is swept away by it.
    if (frameTree.frame.url !== START_PAGE) await this.#startPage;
  }

  /** To the isolated world of one frame. A frame that is gone hears nothing. */
  deliver(frameId: string, message: ToPage): void {
    for (const [contextId, holder] of this.#frameOfContext) {
      if (holder === frameId) this.#deliver(contextId, message);
    }
  }

  deliverToAll(message: ToPage): void {
    for (const contextId of this.#frameOfContext.keys()) this.#deliver(contextId, message);
  }

  /** The value of an expression in the page's own world; a promise is waited for. */
  async evaluate(expression: string, userGesture = false): Promise<unknown> {
    const evaluated = await this.session.send('Runtime.evaluate', {
      expression,
      userGesture,
      awaitPromise: true,
      returnByValue: true,
    });
    const { exceptionDetails, result } = evaluated;
    if (exceptionDetails === undefined) return result.value as unknown;
    const { exception, text } = exceptionDetails;
    throw new Error(exception?.description?.split('\n')[0]?.replace(/^(?:Uncaught )?Error: /, '') ?? text);
  }

  crashed(): void {
    this.isCrashed = true;
    this.#frameOfContext.clear();
    this.#asked.clear();
  }

  #deliver(contextId: number, message: ToPage): void {
    const expression = `globalThis.${RECEIVER}?.(${JSON.stringify(codec.encode(message))})`;
    this.session.post('Runtime.evaluate', { contextId, expression });
  }

  #keepFrame({ id, parentId, url, name, urlFragment }: Protocol.Page.Frame): Frame {
    const frame = this.frames.get(id) ?? { id, parentId: parentId ?? null, url, name: name ?? '' };
    frame.url = `${url}${urlFragment ?? ''}`;
    frame.name = name ?? frame.name;
    this.frames.set(id, frame);
    return frame;
  }

  #listenToFrames(): void {
    const { session, frames } = this;
    session.on('Page.frameAttached', ({ frameId: id, parentFrameId: parentId }) => {
      if (!frames.has(id)) frames.set(id, { id, parentId, url: 'about:blank', name: '' });
    });
    session.on('Page.frameDetached', ({ frameId, reason }) => {
      if (reason === 'remove') frames.delete(frameId);
    });
    session.on('Page.frameNavigated', ({ frame }) => {
      if (frame.url === START_PAGE) this.#startPageShown();
      if (frame.parentId === undefined) {
        this.mainFrameId = frame.id;
        this.isCrashed = false;
        this.#asked.clear();
      }
      this.#owner.navigated(this.#keepFrame(frame), frame.unreachableUrl);
    });
    session.on('Page.navigatedWithinDocument', ({ frameId, url }) => {
      const frame = frames.get(frameId);
      if (frame === undefined) return;
      frame.url = url;
      this.#owner.navigatedInPage(frame, url);
    });
    session.on('Page.loadEventFired', () => {
      const url = frames.get(this.mainFrameId)?.url ?? START_PAGE;
      if (url !== START_PAGE) this.#owner.loaded();
    });
  }

  #listenToWorlds(): void {
    const { session } = this;
    session.on('Runtime.executionContextCreated', ({ context }) => {
      if (context.name !== WORLD) return;
      const { frameId } = context.auxData as { readonly frameId: string };
      this.#frameOfContext.set(context.id, frameId);
      this.#owner.worldCreated();
    });
    session.on('Runtime.executionContextDestroyed', ({ executionContextId }) =>
      this.#frameOfContext.delete(executionContextId),
    );
    session.on('Runtime.executionContextsCleared', () => this.#frameOfContext.clear());
    session.on('Runtime.bindingCalled', ({ name, payload, executionContextId }) => {
      const frameId = this.#frameOfContext.get(executionContextId);
      if (name === BINDING && frameId !== undefined) this.#owner.message(codec.decode(payload) as FromPage, frameId);
    });
    session.on('Runtime.consoleAPICalled', ({ type, args, stackTrace }) => {
      const text = args.map(({ value, description }) => (value === undefined ? (description ?? '') : String(value)));
      const place = stackTrace?.callFrames[0];
      this.#owner.said(type, text.join(' '), place?.lineNumber ?? 0, place?.url ?? '');
    });
    session.on('Runtime.exceptionThrown', ({ exceptionDetails: { text, exception, lineNumber, url } }) =>
      this.#owner.said('error', `${text} ${exception?.description ?? ''}`, lineNumber, url ?? ''),
    );
  }

  #listenToRequests(): void {
    const { session } = this;
    session.on('Page.frameRequestedNavigation', ({ frameId, url }) => {
      this.#asked.add(`${frameId} ${url}`);
    });
    session.on('Fetch.requestPaused', (paused) => void this.#request(paused));
    session.on('Network.webSocketCreated', ({ url }) => this.#owner.socketOpened(url));
  }

  async #request(paused: Protocol.Fetch.requestPausedPayload): Promise<void> {
    const { frameId, request, resourceType } = paused;
    // What the renderer says of its wish to navigate, and the wish itself, come in this order: by one channel.
    const isPageStarted =
      resourceType === 'Document' && this.#asked.delete(`${frameId} ${request.url}${request.urlFragment ?? ''}`);
    await this.#owner.request(paused, isPageStarted).catch(() => undefined);
  }
}
