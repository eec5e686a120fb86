// SPDX-License-Identifier: Apache-2.0
/** The few pages that are not the app's, and the headers of every answer. */

/** `nonce`: for style elements that scripts of the page make. */
export function contentSecurityPolicy(nonce?: string): string {
  const styles = nonce === undefined ? '' : ` 'nonce-${nonce}'`;
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self'${styles}`,
    "img-src 'self' data:",
    "connect-src 'self'",
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

/** No text of a request ever goes in. */
function page(title: string, body: string, head = ''): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title} – Godwit</title>${head}</head><body><main><h1>${title}</h1>${body}</main></body></html>`;
}

const NEW_LINK =
  '<p>Press Enter in the terminal in which Godwit runs: it prints a new link. Where it does not run, start it with <code>godwit serve</code>.</p>';

export const NO_SESSION_PAGE = page(
  'Open Godwit by its start link',
  `<p>This browser has no session with Godwit on this computer, or its session has ended.</p>${NEW_LINK}`,
);

export const BAD_LINK_PAGE = page(
  'This start link is used or too old',
  `<p>A start link is good once, and for one minute.</p>${NEW_LINK}`,
);

export const NOT_BUILT_PAGE = page(
  'The screens are not built',
  '<p>Start Godwit with <code>npm start</code>: it builds them.</p>',
);

/**
 * Answers a good start link. A navigation that began on another site (a mail, a chat) does not carry the new cookie
 * over a redirect, since it is SameSite=Strict; a page of ours that goes on by itself does.
 */
export const ENTER_PAGE = page(
  'Opening Godwit',
  '<p><a href="/">Go on</a></p>',
  '<meta http-equiv="refresh" content="0; url=/">',
);

export const PASSWORD_PAGE = page(
  'Godwit',
  '<form method="post" action="/login"><p><label>Password <input type="password" name="password" autocomplete="current-password" required autofocus></label> <button>Open</button></p></form>',
);

export const WRONG_PASSWORD_PAGE = page(
  'That is not the password',
  '<form method="post" action="/login"><p><label>Password <input type="password" name="password" autocomplete="current-password" required autofocus></label> <button>Open</button></p></form>',
);
