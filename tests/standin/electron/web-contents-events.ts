// SPDX-License-Identifier: Apache-2.0
/** The events of web contents, and Chromium's words for what they tell. */

import type { WebFrameMain } from './web-frame-main.ts';

export const NAVIGATION_EVENTS = [
  ...['will-navigate', 'will-frame-navigate', 'did-navigate', 'did-navigate-in-page', 'did-finish-load'],
  ...['did-fail-load', 'render-process-gone', 'page-title-updated', 'console-message', 'preload-error', 'destroyed'],
  // Never emitted here.
  ...['will-redirect', 'will-attach-webview', 'unresponsive', 'responsive', 'context-menu'],
] as const;

type Gone = Electron.RenderProcessGoneDetails['reason'];

const ERROR_CODES: Readonly<Record<string, number>> = {
  'net::ERR_ABORTED': -3,
  'net::ERR_FILE_NOT_FOUND': -6,
  'net::ERR_BLOCKED_BY_CLIENT': -20,
  'net::ERR_NAME_NOT_RESOLVED': -105,
  'net::ERR_INVALID_URL': -300,
  'net::ERR_UNKNOWN_URL_SCHEME': -302,
};

/** ERR_FAILED for those that are not listed. */
export const errorCode = (name: string): number => ERROR_CODES[name] ?? -2;

/** Why a renderer is gone, in Electron's words. */
export function reasonOf(status: string): Gone {
  if (status.includes('oom')) return 'oom';
  if (status.includes('killed') || status.includes('kill')) return 'killed';
  return status === 'abnormal' ? 'abnormal-exit' : 'crashed';
}

/** A console method as a level. */
export function levelOf(method: string): 'debug' | 'error' | 'info' | 'warning' {
  if (method === 'error' || method === 'assert') return 'error';
  if (method === 'warning') return 'warning';
  return method === 'debug' ? 'debug' : 'info';
}

/** What listeners of did-fail-load get behind the event. */
export function failureDetails(failure: string, url: string, frame: WebFrameMain): unknown[] {
  return [errorCode(failure), failure.replace('net::', ''), url, true, frame.processId, frame.routingId];
}
