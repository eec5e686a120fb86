// SPDX-License-Identifier: Apache-2.0
/** Navigations: those of the app, which end well or badly, and those of the page, which the app may refuse. */
import type { EventEmitter } from 'node:events';
import { toCarried } from '../page/carried-url.ts';
import type { PageLink } from '../page/page-link.ts';
import { preventable } from './event.ts';
import { errorCode } from './web-contents-events.ts';
import type { WebFrameMain } from './web-frame-main.ts';

/** Loads a URL for the app. `failed` hears Chromium's reason before anybody else does. */
export async function navigate(
  contents: EventEmitter,
  page: PageLink,
  url: string,
  failed: (failure: string) => void,
): Promise<void> {
  let failure = 'net::ERR_FAILED';
  const ended = loadingEnd(contents);
  const { errorText = '', loaderId } = await page.session.send('Page.navigate', { url: toCarried(url) });
  if (errorText !== '') {
    failure = errorText;
    failed(errorText);
  }
  // Without a loader it was a navigation within the page.
  if (loaderId === undefined && errorText === '') return;
  const isLoaded = errorText !== 'net::ERR_ABORTED' && (await ended);
  if (!isLoaded) throw loadError(url, failure);
}

/** Whether the app refuses a navigation that the page asked for. */
export function isNavigationRefused(
  contents: EventEmitter,
  url: string,
  frame: WebFrameMain,
  isMainFrame: boolean,
): boolean {
  const event = preventable({ url, isMainFrame, isSameDocument: false, frame, initiator: frame });
  contents.emit('will-frame-navigate', event);
  if (isMainFrame) contents.emit('will-navigate', event, url, false, true, frame.processId, frame.routingId);
  return event.defaultPrevented;
}

function loadingEnd(contents: EventEmitter): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isLoaded: boolean) => (): void => {
      for (const [name, listener] of listeners) contents.removeListener(name, listener);
      resolve(isLoaded);
    };
    const fail = settle(false);
    const listeners = [
      ['did-finish-load', settle(true)],
      ['did-fail-load', fail],
      ['render-process-gone', fail],
      ['destroyed', fail],
    ] as const;
    for (const [name, listener] of listeners) contents.on(name, listener);
  });
}

function loadError(url: string, failure: string): Error {
  const code = failure.replace('net::', '');
  const errno = errorCode(failure);
  return Object.assign(new Error(`${code} (${errno}) loading '${url}'`), { code, errno, url });
}
