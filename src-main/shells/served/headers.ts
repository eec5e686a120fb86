// SPDX-License-Identifier: Apache-2.0
/** The headers of every answer. */

/** `nonce`: for style elements that scripts of the page make. `connect`: what those may talk to. */
export function contentSecurityPolicy({
  nonce,
  connect = "'self'",
}: { readonly nonce?: string; readonly connect?: "'self'" | "'none'" } = {}): string {
  const styles = nonce === undefined ? '' : ` 'nonce-${nonce}'`;
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self'${styles}`,
    "img-src 'self' data:",
    `connect-src ${connect}`,
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
}

export const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': contentSecurityPolicy(),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
  'cache-control': 'no-store',
};

/** Built files whose names hold the hash of their content. */
export const IMMUTABLE = 'private, max-age=31536000, immutable';
