// SPDX-License-Identifier: Apache-2.0
/** Beyond loopback a password opens a session. Only its scrypt hash is held. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { PASSWORD_PAGE, WRONG_PASSWORD_PAGE } from './pages.ts';
import { RateLimit } from './rate-limit.ts';

const KEY_BYTES = 32;
const SALT_BYTES = 16;
const MAX_PASSWORD = 1024;
const derive = promisify(scrypt) as (password: string, salt: Buffer, length: number) => Promise<Buffer>;

/** `salt:key`, hexadecimal. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  return `${salt.toString('hex')}:${(await derive(password, salt, KEY_BYTES)).toString('hex')}`;
}

export async function isPassword(password: string, hash: string): Promise<boolean> {
  const [salt = '', key = ''] = hash.split(':');
  const wanted = Buffer.from(key, 'hex');
  const derived = await derive(password, Buffer.from(salt, 'hex'), KEY_BYTES);
  return wanted.length === derived.length && timingSafeEqual(wanted, derived);
}

/** `/login`. `open` gives the answer its session. */
export function addPasswordLogin(app: FastifyInstance, hash: string, open: (reply: FastifyReply) => void): void {
  const attempts = new RateLimit({ attempts: 5, perMs: 60_000 });
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: 4096 },
    (_request, body, done) => done(null, new URLSearchParams(String(body))),
  );
  app.get('/login', (_request, reply) => reply.type('text/html').send(PASSWORD_PAGE));
  app.post<{ Body: unknown }>('/login', async (request, reply) => {
    const password = request.body instanceof URLSearchParams ? (request.body.get('password') ?? '') : '';
    if (!attempts.take()) return await reply.code(429).type('text/html').send(WRONG_PASSWORD_PAGE);
    if (password === '' || password.length > MAX_PASSWORD || !(await isPassword(password, hash))) {
      return await reply.code(403).type('text/html').send(WRONG_PASSWORD_PAGE);
    }
    open(reply);
    return await reply.redirect('/', 303);
  });
}
