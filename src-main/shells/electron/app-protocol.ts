// SPDX-License-Identifier: Apache-2.0
/** `app://godwit/…`: the built screens, from their folder and from nowhere else. */
import { randomBytes } from 'node:crypto';
import { readFile, realpath } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { contentSecurityPolicy, HEADERS } from '../served/headers.ts';
import { isOurs, ORIGIN } from './app-address.ts';

/** Of what Vite writes; anything else is not there. */
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.png': 'image/png',
};

/** Answers the page's requests. `files`: folder of the built screens. */
export function screensHandler(files: string): (request: Pick<Request, 'method' | 'url'>) => Promise<Response> {
  return async ({ method, url }) => {
    if (!isOurs(url)) return refused(404);
    if (method !== 'GET') return refused(405);
    // Not by the URL class: it would resolve `..` first, and hide that somebody asked for it.
    const [path = ''] = url.slice(ORIGIN.length).split(/[?#]/u);
    const name = path === '' || path === '/' ? '/index.html' : path;
    const type = TYPES[extname(name)];
    if (type === undefined || !/^(?:\/[\w-][\w.-]*)+$/u.test(name)) return refused(404);
    try {
      const root = await realpath(files);
      const file = await realpath(join(root, name));
      if (!file.startsWith(root + sep)) return refused(404);
      const bytes = await readFile(file);
      return name === '/index.html' ? document(bytes.toString(), type) : answer(new Uint8Array(bytes), type);
    } catch {
      return refused(404);
    }
  };
}

function document(text: string, type: string): Response {
  // The terminal makes style elements: they need the nonce of this page load.
  const nonce = randomBytes(16).toString('base64');
  return answer(text.replace('__CSP_NONCE__', nonce), type, contentSecurityPolicy({ nonce, connect: "'none'" }));
}

function answer(body: string | Uint8Array<ArrayBuffer>, type: string, policy = contentSecurityPolicy()): Response {
  return new Response(body, {
    headers: { ...HEADERS, 'content-type': type, 'content-security-policy': policy },
  });
}

const refused = (status: number): Response => new Response(null, { status, headers: HEADERS });
