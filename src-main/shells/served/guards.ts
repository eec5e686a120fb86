// SPDX-License-Identifier: Apache-2.0
/** What a request must be before anything looks at it. Pure: the same table for requests and upgrades. */
import type { IncomingMessage } from 'node:http';
import { bracketed } from './binding.ts';

export interface RequestFacts {
  readonly method: string;
  /** The request target as sent. */
  readonly url: string;
  readonly upgrade: boolean;
  readonly host: string | undefined;
  /** How many Host headers came; Node's `headers` holds the first alone. */
  readonly hostCount: number;
  readonly origin: string | undefined;
  /** `Sec-Fetch-Site`, `-Mode`, `-Dest`: what browsers say of a request and no page can forge. */
  readonly site: string | undefined;
  readonly mode: string | undefined;
  readonly dest: string | undefined;
}

export interface Place {
  readonly scheme: 'http' | 'https';
  /** Names under which this server may be asked for, lower case, without a port. */
  readonly hosts: readonly string[];
  readonly port: number;
}

export interface Refusal {
  readonly status: number;
  readonly reason: string;
}

interface Rule extends Refusal {
  breaks(facts: RequestFacts, place: Place): boolean;
}

const METHODS: readonly string[] = ['GET', 'POST'];
const MAX_URL = 2048;
/** `..` in any spelling, a backslash, a NUL, or a percent sign that is encoded itself. */
const TRAVERSAL = /(^|[/\\]|%2f|%5c)(\.|%2e){2}([/\\?#]|%2f|%5c|$)|\\|%5c|%00|%25/iu;
const NOT_OURS = { status: 403, reason: 'This does not come from a page of Godwit.' };

/** In this order: the first that is broken answers. */
const RULES: readonly Rule[] = [
  { status: 414, reason: 'The address is too long.', breaks: ({ url }) => url.length > MAX_URL },
  { status: 405, reason: 'This method is not allowed.', breaks: ({ method }) => !METHODS.includes(method) },
  {
    // A proxy's form (`GET http://…`), and `//host`, which names another host to whoever resolves it.
    status: 400,
    reason: 'This address is not of Godwit.',
    breaks: ({ url }) => !url.startsWith('/') || url.startsWith('//') || TRAVERSAL.test(url.split('?')[0] ?? ''),
  },
  {
    status: 421,
    reason: 'Godwit is not served under this name.',
    breaks: ({ host, hostCount }, place) =>
      host === undefined || hostCount > 1 || !allowedHosts(place).includes(host.toLowerCase()),
  },
  {
    // Writes and upgrades name their origin; what names another one is refused whatever it asks for.
    ...NOT_OURS,
    breaks: ({ method, upgrade, origin }, place) =>
      origin === undefined ? method !== 'GET' || upgrade : !allowedOrigins(place).includes(origin),
  },
  {
    // Another site may link here. It may not load, frame or probe anything, nor use up the attempts at start links.
    ...NOT_OURS,
    breaks: ({ site, mode, dest }) =>
      (site === 'cross-site' || site === 'same-site') && !(mode === 'navigate' && dest === 'document'),
  },
];

/** Why the request is refused; null when it may go on. */
export function refusal(facts: RequestFacts, place: Place): Refusal | null {
  return RULES.find((rule) => rule.breaks(facts, place)) ?? null;
}

export function factsOf(request: IncomingMessage, upgrade: boolean): RequestFacts {
  const { method = '', url = '', headers } = request;
  const text = (name: string): string | undefined => {
    const value = headers[name];
    return Array.isArray(value) ? value.join(',') : value;
  };
  return {
    method,
    url,
    upgrade,
    host: headers.host,
    hostCount: request.headersDistinct.host?.length ?? 0,
    origin: headers.origin,
    site: text('sec-fetch-site'),
    mode: text('sec-fetch-mode'),
    dest: text('sec-fetch-dest'),
  };
}

function allowedHosts({ scheme, hosts, port }: Place): string[] {
  const isDefault = port === (scheme === 'http' ? 80 : 443);
  return hosts.flatMap((host) => [`${bracketed(host)}:${String(port)}`, ...(isDefault ? [bracketed(host)] : [])]);
}

function allowedOrigins(place: Place): string[] {
  return allowedHosts(place).map((host) => `${place.scheme}://${host}`);
}

/** A value of the Cookie header; undefined when it is not there. */
export function cookieOf(header: string | undefined, name: string): string | undefined {
  const found = (header ?? '').split(/;\s*/u).find((pair) => pair.startsWith(`${name}=`));
  return found?.slice(name.length + 1);
}
