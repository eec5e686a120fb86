// SPDX-License-Identifier: Apache-2.0
/** The built screens, for whoever has a session. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { contentSecurityPolicy, IMMUTABLE } from './headers.ts';
import { NO_SESSION_PAGE, NOT_BUILT_PAGE } from './pages.ts';

export interface ScreensOptions {
  /** Folder of the built screens; may be missing. */
  readonly files: string;
  /** Whether a password opens a session. */
  readonly hasLogin: boolean;
  readonly holdsSession: (request: FastifyRequest) => boolean;
}

export function addScreens(app: FastifyInstance, { files, hasLogin, holdsSession }: ScreensOptions): void {
  const document = join(files, 'index.html');
  void app.register(fastifyStatic, { root: files, serve: false, cacheControl: false, dotfiles: 'deny' });

  app.get('/godwit-mark.svg', (_request, reply) => reply.sendFile('godwit-mark.svg'));
  app.get('/assets/*', (request, reply) => {
    if (!holdsSession(request)) return noSession(reply);
    const [path = ''] = request.url.split('?');
    return reply.header('cache-control', IMMUTABLE).sendFile(path.slice(1));
  });

  // Every other address of the app is the same document; the page knows which screen it names.
  app.setNotFoundHandler((request, reply) => {
    const isFile = request.url.startsWith('/api/') || request.url.startsWith('/assets/');
    if (request.method !== 'GET' || isFile) {
      return reply
        .code(404)
        .header('cache-control', 'no-store')
        .send({ error: { code: 'not-found', message: 'There is nothing here.' } });
    }
    if (!holdsSession(request)) {
      if (hasLogin) return reply.redirect('/login', 303);
      return reply.code(401).type('text/html').send(NO_SESSION_PAGE);
    }
    if (!existsSync(document)) return reply.code(503).type('text/html').send(NOT_BUILT_PAGE);
    // The terminal makes style elements: they need the nonce of this page load.
    const nonce = randomBytes(16).toString('base64');
    const text = readFileSync(document, 'utf8').replace('__CSP_NONCE__', nonce);
    return reply.header('content-security-policy', contentSecurityPolicy({ nonce })).type('text/html').send(text);
  });
}

export function noSession(reply: FastifyReply): FastifyReply {
  return reply
    .code(401)
    .send({ error: { code: 'refused', message: 'This page has no session: open a new start link.' } });
}
