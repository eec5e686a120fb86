// SPDX-License-Identifier: Apache-2.0
/** What a window shows: one page, driven over the DevTools protocol. */
import { pathToFileURL } from 'node:url';
import type { Protocol } from '../chromium/cdp.ts';
import type { OpenedTarget, Targets } from '../chromium/targets.ts';
import { fromCarried, toCarried } from '../page/carried-url.ts';
import { codec } from '../page/codec.ts';
import type { FromPage, ToPage } from '../page/messages.ts';
import { PageLink, type Frame, type PageOwner } from '../page/page-link.ts';
import { rendererPid } from '../page/renderer-pid.ts';
import { pageScripts } from '../page/scripts.ts';
import type { Opening } from '../page/window-opening.ts';
import { record } from '../record.ts';
import { strict, StrictEmitter } from '../strict.ts';
import { preventable } from './event.ts';
import { provideForgery, receiveFromPage } from './ipc.ts';
import { applicationAccelerators, onMenuChange, pressAccelerator } from './accelerators.ts';
import { failureDetails, levelOf, NAVIGATION_EVENTS, reasonOf } from './web-contents-events.ts';
import { lifecycle } from './lifecycle.ts';
import { abortRequest, answerRequest } from './requests.ts';
import { defaultSession, type Session } from './session.ts';
import { followMedia } from './native-theme.ts';
import { host } from '../host.ts';
import { applyPermissions } from './permissions.ts';
import { isNavigationRefused, navigate } from './loading.ts';
import { FrameObjects, type WebFrameMain } from './web-frame-main.ts';
import type { Conforms } from '../conforms.ts';

type OpenHandler = (details: Electron.HandlerDetails) => { readonly action: 'allow' | 'deny' };

const all = new Map<number, WebContents>();
let lastId = 0;

export class WebContents extends StrictEmitter implements PageOwner {
  protected static override readonly provided = NAVIGATION_EVENTS;
  readonly id = ++lastId;
  readonly session: Session = defaultSession;
  readonly #preferences: Electron.WebPreferences;
  readonly #opening: Promise<PageLink>;
  #target: OpenedTarget | null = null;
  #targets: Targets | null = null;
  #page: PageLink | null = null;
  #frames: FrameObjects | null = null;
  #isDestroyed = false;
  #url = '';
  #title = '';
  #failure = '';
  #pid = 0;
  #openHandler: OpenHandler = () => ({ action: 'allow' });
  #resized: () => void = () => undefined;

  /** `prepare` is done before anything is loaded. */
  constructor(
    preferences: Electron.WebPreferences,
    targets: Promise<Targets>,
    opened: Promise<OpenedTarget>,
    prepare: (target: OpenedTarget, page: PageLink) => Promise<void>,
  ) {
    super();
    this.#preferences = preferences;
    this.#opening = this.#open(targets, opened, prepare);
    // Whoever waits for it hears of the failure.
    this.#opening.catch(() => undefined);
    all.set(this.id, this);
    lifecycle.created('web-contents', this);
  }

  async loadURL(url: string): Promise<void> {
    const page = await this.#opening;
    this.#failure = '';
    await applyPermissions((await host.connected).browser, this, url);
    await navigate(this, page, url, (failure) => {
      this.#failure = failure;
    });
  }

  async loadFile(path: string): Promise<void> {
    await this.loadURL(pathToFileURL(path).href);
  }

  reload(): void {
    const page = this.#page;
    if (page === null) return;
    // There is nothing left to reload from when the renderer is gone.
    if (page.isCrashed) void this.loadURL(this.#url).catch(() => undefined);
    else page.session.post('Page.reload');
  }

  /** Closes the page and its window without asking. */
  close(): void {
    if (this.#target !== null) this.#targets?.close(this.#target.targetId);
    else void this.#opening.then(() => this.close());
  }

  isDestroyed(): boolean {
    return this.#isDestroyed;
  }

  isCrashed(): boolean {
    return this.#page?.isCrashed ?? false;
  }

  getURL(): string {
    return this.#url;
  }

  getTitle(): string {
    return this.#title;
  }

  /** 0 where it is not known: before the first page is loaded. */
  getOSProcessId(): number {
    return this.#pid;
  }

  getLastWebPreferences(): Electron.WebPreferences {
    return this.#preferences;
  }

  setWindowOpenHandler(handler: OpenHandler): void {
    this.#openHandler = handler;
  }

  openDevTools(): void {
    record.devToolsOpened.push(this.id);
  }

  send(channel: string, ...args: unknown[]): void {
    // Before anything is waited for: what cannot be cloned is the caller's error.
    const copies = codec.decode(codec.encode(args)) as unknown[];
    void this.#opening.then((page) => page.deliver(page.mainFrameId, { is: 'event', channel, args: copies }));
  }

  async executeJavaScript(code: string, userGesture = false): Promise<unknown> {
    return await (await this.#opening).evaluate(code, userGesture);
  }

  get mainFrame(): WebFrameMain {
    if (this.#page === null) throw new Error('The window has not been opened yet.');
    return this.frame(this.#page.mainFrameId);
  }

  /** Of the stand-in: the target's id; empty before it is there. */
  get targetId(): string {
    return this.#target?.targetId ?? '';
  }

  /** Of the stand-in: who follows the size of the page. */
  onResized(listener: () => void): void {
    this.#resized = listener;
  }

  /** Of the stand-in. */
  opened(): Promise<PageLink> {
    return this.#opening;
  }

  /** Of the stand-in. */
  frame(id: string): WebFrameMain {
    if (this.#frames === null) throw new Error('The window has not been opened yet.');
    return this.#frames.get(id);
  }

  /** Of the stand-in. */
  deliver(frameId: string, message: ToPage): void {
    this.#page?.deliver(frameId, message);
  }

  /** Of the stand-in: the keys of the menu have changed. */
  tellAccelerators(): void {
    this.#page?.deliverToAll({ is: 'accelerators', keys: applicationAccelerators() });
  }

  message(message: FromPage, frameId: string): void {
    if (message.is === 'accelerator') pressAccelerator(message.index);
    else if (message.is === 'resized') this.#resized();
    else if (message.is === 'titled') this.#titled(message.title);
    else if (message.is === 'opening') this.#opens(message);
    else if (message.is === 'foreign') this.#foreignNavigation(message.url, frameId);
    else if (message.is === 'preload-error') this.#preloadFailed(Object.assign(new Error(message.message), message));
    else receiveFromPage(message, this, frameId);
  }

  async request(paused: Protocol.Fetch.requestPausedPayload, isPageStarted: boolean): Promise<void> {
    const page = await this.#opening;
    if (paused.resourceType === 'Document' && this.#isRefused(paused.request.url, paused.frameId, isPageStarted)) {
      await abortRequest(page.session, paused);
    } else await answerRequest(page.session, paused);
  }

  navigated({ id, url, parentId }: Frame, unreachableUrl: string | undefined): void {
    if (parentId !== null || this.#target === null) return;
    const reached = fromCarried(unreachableUrl ?? url);
    this.#url = reached;
    if (unreachableUrl === undefined) {
      this.#failure = '';
      this.emit('did-navigate', preventable({}), reached, 200, 'OK');
    } else {
      this.#failure ||= 'net::ERR_FAILED';
      this.emit('did-fail-load', preventable({}), ...failureDetails(this.#failure, reached, this.frame(id)));
    }
  }

  navigatedInPage({ parentId }: Frame, url: string): void {
    if (parentId === null) this.#url = fromCarried(url);
    this.emit('did-navigate-in-page', preventable({}), fromCarried(url), parentId === null);
  }

  loaded(): void {
    const page = this.#page;
    if (page === null || this.#failure !== '') return;
    void rendererPid(page.session, page.mainFrameId).then((pid) => {
      this.#pid = pid;
      this.emit('did-finish-load', preventable({}));
    });
  }

  said(level: string, message: string, lineNumber: number, sourceId: string): void {
    const frame = this.#frames === null ? null : this.mainFrame;
    const details = { level: levelOf(level), message, lineNumber, sourceId: fromCarried(sourceId), frame };
    this.emit('console-message', preventable(details));
  }

  worldCreated(): void {
    this.tellAccelerators();
  }

  socketOpened(url: string): void {
    record.refusedRequests.push({ url, method: 'GET', resourceType: 'WebSocket' });
  }

  async #open(
    targets: Promise<Targets>,
    opened: Promise<OpenedTarget>,
    prepare: (target: OpenedTarget, page: PageLink) => Promise<void>,
  ): Promise<PageLink> {
    const target = await opened;
    this.#targets = await targets;
    this.#target = target;
    const page = new PageLink(target.session, this);
    this.#page = page;
    this.#frames = new FrameObjects(page, this.id);
    const { preload, nodeIntegrationInSubFrames = false } = this.#preferences;
    const scripts = pageScripts(preload, nodeIntegrationInSubFrames);
    if (scripts.refusal !== null) this.#preloadFailed(scripts.refusal);
    this.#targets.listen(target.targetId, {
      crashed: (status, exitCode) => this.#crashed(status, exitCode),
      closed: () => this.#closed(),
    });
    await page.start(scripts);
    followMedia(page.session);
    await prepare(target, page);
    return page;
  }

  /** Whether the app does not let a navigation of the page happen. */
  #isRefused(carried: string, frameId: string, isPageStarted: boolean): boolean {
    const isMainFrame = frameId === this.#page?.mainFrameId;
    if (isMainFrame && !isPageStarted) return false;
    return isNavigationRefused(this, fromCarried(carried), this.frame(frameId), isMainFrame);
  }

  #preloadFailed(error: Error): void {
    const path = this.#preferences.preload ?? '';
    record.preloadErrors.push(error.message);
    process.stderr.write(`Unable to load preload script ${path}: ${error.stack ?? error.message}\n`);
    this.emit('preload-error', preventable({}), path, error);
  }

  #foreignNavigation(url: string, frameId: string): void {
    const carried = toCarried(url);
    if (this.#isRefused(url, frameId, true) || carried === url) return;
    void this.loadURL(url).catch(() => undefined);
  }

  #opens({ url: carried, name: frameName, features }: Opening): void {
    const url = fromCarried(carried);
    const referrer = { url: this.#url, policy: 'default' as const };
    const { action } = this.#openHandler({ url, frameName, features, disposition: 'default', referrer });
    record.openedByPages.push({ url, action });
  }

  #titled(title: string): void {
    this.#title = title;
    this.emit('page-title-updated', preventable({}), title, true);
  }

  #crashed(status: string, exitCode: number): void {
    this.#page?.crashed();
    this.#pid = 0;
    this.emit('render-process-gone', preventable({}), { reason: reasonOf(status), exitCode });
  }

  #closed(): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    all.delete(this.id);
    this.emit('destroyed');
  }
}

type Checked =
  'id' | 'loadURL' | 'loadFile' | 'reload' | 'close' | 'isDestroyed' | 'isCrashed' | 'getURL' | 'getTitle' | 'send';
type CheckedToo = 'getOSProcessId' | 'openDevTools' | 'executeJavaScript';
export type CheckedWebContents = Conforms<Pick<Electron.WebContents, Checked | CheckedToo>, WebContents>;

/** Electron's `webContents`: from an id, or from what DevTools call a page, to the object. */
export const webContents = strict('webContents', {
  getAllWebContents: () => [...all.values()],
  fromId: (id: number) => all.get(id),
  fromDevToolsTargetId: (targetId: string) => [...all.values()].find((contents) => contents.targetId === targetId),
});

provideForgery(webContents.getAllWebContents);
onMenuChange(() => {
  for (const contents of all.values()) contents.tellAccelerators();
});
