// SPDX-License-Identifier: Apache-2.0
/** `GET /start/<secret>`: a link that is good once becomes a session. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { BAD_LINK_PAGE, ENTER_PAGE } from './pages.ts';
import { RateLimit } from './rate-limit.ts';
import type { Sessions } from './sessions.ts';

const WRONG_LINKS = { attempts: 10, perMs: 60_000 };

/** `setCookie` gives the answer its session. */
export function addStartLink(
  app: FastifyInstance,
  sessions: Sessions,
  setCookie: (reply: FastifyReply, session: string) => void,
): void {
  const wrong = new RateLimit(WRONG_LINKS);
  app.get<{ Params: { secret: string } }>('/start/:secret', (request, reply) => {
    void reply.type('text/html');
    const session = sessions.redeem(request.params.secret);
    // Only wrong links are counted: whoever sends many of them cannot keep the user out.
    if (session === null) return reply.code(wrong.take() ? 403 : 429).send(BAD_LINK_PAGE);
    setCookie(reply, session);
    return reply.send(ENTER_PAGE);
  });
}
