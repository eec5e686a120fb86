// SPDX-License-Identifier: Apache-2.0
/** What a request must be before anything looks at it. Pure: the same rules for requests and upgrades. */

export interface RequestFacts {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** As sent. */
  readonly url: string;
  readonly upgrade: boolean;
}

export interface Place {
  readonly scheme: 'http' | 'https';
  /** Names under which this server may be asked for, without a port. */
  readonly hosts: readonly string[];
  readonly port: number;
}

export interface Refusal {
  readonly status: number;
  readonly reason: string;
}

const METHODS: readonly string[] = ['GET', 'HEAD', 'POST'];
const MAX_URL = 2048;
/** `..` in any spelling, a backslash, or a NUL. */
const TRAVERSAL = /(^|[/\\]|%2f|%5c)(\.|%2e){2}([/\\?#]|%2f|%5c|$)|\\|%5c|%00|%25/iu;

/** Why the request is refused; null when it may go on. */
export function refusal(facts: RequestFacts, place: Place): Refusal | null {
  if (facts.url.length > MAX_URL) return { status: 414, reason: 'The address is too long.' };
  if (!METHODS.includes(facts.method)) return { status: 405, reason: 'This method is not allowed.' };
  // DNS rebinding: a name that an attacker points here is not one of ours.
  if (facts.host === undefined || !allowedHosts(place).includes(facts.host.toLowerCase())) {
    return { status: 421, reason: 'Godwit is not served under this name.' };
  }
  if ((facts.method === 'POST' || facts.upgrade) && !allowedOrigins(place).includes(facts.origin ?? '')) {
    return { status: 403, reason: 'This does not come from a page of Godwit.' };
  }
  if (facts.origin !== undefined && !allowedOrigins(place).includes(facts.origin)) {
    return { status: 403, reason: 'This does not come from a page of Godwit.' };
  }
  if (TRAVERSAL.test(facts.url.split('?')[0] ?? '')) return { status: 400, reason: 'This address is not of Godwit.' };
  return null;
}

function allowedHosts({ scheme, hosts, port }: Place): string[] {
  const isDefault = port === (scheme === 'http' ? 80 : 443);
  return hosts.flatMap((host) => [`${bracketed(host)}:${port}`, ...(isDefault ? [bracketed(host)] : [])]);
}

function allowedOrigins(place: Place): string[] {
  return allowedHosts(place).map((host) => `${place.scheme}://${host}`);
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** A value of the Cookie header; undefined when it is not there. */
export function cookieOf(header: string | undefined, name: string): string | undefined {
  const found = (header ?? '').split(/;\s*/u).find((pair) => pair.startsWith(`${name}=`));
  return found?.slice(name.length + 1);
}
