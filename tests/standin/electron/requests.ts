// SPDX-License-Identifier: Apache-2.0
/** Answers each request of a page: by the app's handler, from a file, or not at all. */
import type { Protocol, Session } from '../chromium/cdp.ts';
import { carriedScheme, carryPolicy, fromCarried, toCarried } from '../page/carried-url.ts';
import { record } from '../record.ts';
import { protocolHandler } from './protocol.ts';

type Paused = Protocol.Fetch.requestPausedPayload;

/** The statuses with which a Response may have no body. */
const WITHOUT_BODY = new Set([101, 204, 205, 304]);

/** Answers it, or refuses it and says so in the record. */
export async function answerRequest(session: Session, paused: Paused): Promise<void> {
  const { url, method } = paused.request;
  const { requestId, resourceType } = paused;
  const handler = protocolHandler(carriedScheme(url) ?? '');
  // Chromium asks by itself for an icon that the page did not name; Electron does not.
  const isOwnIdea = /^http:\/\/[^/]+\/favicon\.ico$/.test(url) && resourceType === 'Other';
  if (isOwnIdea) await session.send('Fetch.fulfillRequest', { requestId, responseCode: 204 });
  else if (url.startsWith('file:')) await session.send('Fetch.continueRequest', { requestId });
  else if (handler !== undefined) {
    try {
      await fulfill(session, paused, await handler(requestOf(paused)));
    } catch (error) {
      process.stderr.write(`The handler of ${fromCarried(url)} failed: ${String(error)}\n`);
      await session.send('Fetch.failRequest', { requestId, errorReason: 'Failed' });
    }
  } else {
    record.refusedRequests.push({ url: fromCarried(url), method, resourceType });
    await session.send('Fetch.failRequest', { requestId, errorReason: 'BlockedByClient' });
  }
}

/** Ends a navigation so that the page stays where it is. */
export async function abortRequest(session: Session, { requestId }: Paused): Promise<void> {
  await session.send('Fetch.failRequest', { requestId, errorReason: 'Aborted' });
}

function requestOf({ request }: Paused): Request {
  const { method, headers, postDataEntries } = request;
  const body = Buffer.concat((postDataEntries ?? []).map(({ bytes }) => Buffer.from(bytes ?? '', 'base64')));
  const translated = Object.entries(headers).map(([name, value]): [string, string] => [name, fromCarried(value)]);
  return new Request(fromCarried(request.url), {
    method,
    headers: translated,
    ...(method === 'GET' || method === 'HEAD' ? {} : { body }),
  });
}

async function fulfill(session: Session, { requestId }: Paused, response: Response): Promise<void> {
  const responseHeaders = [...response.headers].map(([name, value]) => ({ name, value: headerValue(name, value) }));
  const body = WITHOUT_BODY.has(response.status) ? '' : Buffer.from(await response.arrayBuffer()).toString('base64');
  const responseCode = response.status === 0 ? 200 : response.status;
  await session.send('Fetch.fulfillRequest', { requestId, responseCode, responseHeaders, body });
}

function headerValue(name: string, value: string): string {
  if (name.startsWith('content-security-policy')) return carryPolicy(value);
  return name === 'location' || name === 'access-control-allow-origin' ? toCarried(value) : value;
}
