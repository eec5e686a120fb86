// SPDX-License-Identifier: Apache-2.0
/**
 * Chromium drops requests of schemes that it does not know before anybody could answer them. So `app://host/p` is
 * carried as `http://host.app.localhost/p`, which is a secure context too, and translated where the app sees it.
 */

/** Schemes that the app registered or handles. */
const schemes = new Set<string>();

export function carryScheme(scheme: string): void {
  schemes.add(scheme);
}

/** The URL that Chromium is given. */
export function toCarried(url: string): string {
  const [, scheme = '', host = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/is.exec(url) ?? [];
  return schemes.has(scheme.toLowerCase()) ? `http://${host}.${scheme.toLowerCase()}.localhost${rest || '/'}` : url;
}

/** The URL that the app meant; others stay as they are. */
export function fromCarried(url: string): string {
  const [, host = '', scheme = '', rest = ''] = /^http:\/\/([^/?#]*)\.([a-z0-9+-]+)\.localhost(.*)$/is.exec(url) ?? [];
  return schemes.has(scheme) ? `${scheme}://${host}${rest}` : url;
}

/** The scheme whose handler answers that URL of Chromium's; null for addresses outside. */
export function carriedScheme(url: string): string | null {
  const scheme = /^http:\/\/[^/?#]*\.([a-z0-9+-]+)\.localhost(?:[/?#]|$)/i.exec(url)?.[1] ?? '';
  return schemes.has(scheme) ? scheme : null;
}

/** As `URL.origin`, which does not know the app's schemes. */
export function originOf(url: string): string {
  const [, origin = '', scheme = ''] = /^(([a-z][a-z0-9+.-]*):\/\/[^/?#]*)/i.exec(url) ?? [];
  if (schemes.has(scheme)) return origin;
  return URL.canParse(url) ? new URL(url).origin : 'null';
}

/** Both spellings of origins in a policy, so that what it allows there is allowed here. */
export function carryPolicy(policy: string): string {
  return policy.replaceAll(/([a-z][a-z0-9+.-]*):(?:\/\/([^\s;/]+))?/gi, (found, scheme: string, host?: string) => {
    if (!schemes.has(scheme.toLowerCase())) return found;
    return `http://${host ?? '*'}.${scheme}.localhost`;
  });
}
