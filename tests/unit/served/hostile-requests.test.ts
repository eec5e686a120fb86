// SPDX-License-Identifier: Apache-2.0
/** What a page of another site, another program of this box or a garbled client may send, and what it gets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exchange, open, parse, readToEnd, request, type RawAnswer } from '../../support/served/raw-http.ts';
import { bound, DOCUMENT, openSession, startApp, type Session, type TestApp } from '../../support/served/served-app.ts';

let test: TestApp;
let session: Session;
let port: number;
let origin: string;

beforeAll(async () => {
  test = await startApp({ limits: { requestMs: 600 } });
  ({ port, origin } = test.app);
  session = await openSession(bound(test.app));
});
afterAll(() => test.close());

type Headers = Readonly<Record<string, string | undefined>>;

/** A request that would be answered well but for what the row changes. */
const own = (changed: Headers = {}): Headers => ({
  host: `127.0.0.1:${String(port)}`,
  cookie: session.cookie,
  ...changed,
});
const call = (changed: Headers = {}, body: string | Buffer = '{"input":{}}', name = 'machines.list'): Buffer =>
  request(
    `POST /api/call/${name}`,
    own({ origin, 'x-godwit-token': session.token, 'content-type': 'application/json', ...changed }),
    body,
  );
const upgrade = (changed: Headers = {}, line = 'GET /api/events'): Buffer =>
  request(
    line,
    own({
      origin,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-protocol': `godwit, token.${session.token}`,
      ...changed,
    }),
  );
const page = (changed: Headers = {}, line = 'GET /'): Buffer => request(line, own(changed));

interface Row {
  readonly what: string;
  readonly bytes: () => string | Buffer;
  readonly status: number | readonly number[];
  /** Only the manager can tell that it is wrong. */
  readonly reaches?: boolean;
}

const rows: readonly Row[] = [
  // Names and origins.
  { what: 'a foreign Host', bytes: () => page({ host: 'example.org' }), status: 421 },
  {
    what: 'a name that was rebound to this address',
    bytes: () => page({ host: `rebound.example:${port}` }),
    status: 421,
  },
  { what: 'our name with another port', bytes: () => page({ host: '127.0.0.1:1' }), status: 421 },
  { what: 'our name with a final dot', bytes: () => page({ host: `localhost.:${port}` }), status: 421 },
  { what: 'another address of loopback', bytes: () => page({ host: `127.0.0.2:${port}` }), status: 421 },
  { what: 'two Host headers', bytes: () => page({ HOST: 'example.org' }), status: [400, 421] },
  { what: 'no Host', bytes: () => page({ host: undefined }), status: 400 },
  { what: 'HTTP/1.0 without Host', bytes: () => 'GET / HTTP/1.0\r\n\r\n', status: 421 },
  { what: 'a call rebound from another name', bytes: () => call({ host: `rebound.example:${port}` }), status: 421 },
  { what: 'a call from another origin', bytes: () => call({ origin: 'http://example.org' }), status: 403 },
  { what: 'a call from another port of this box', bytes: () => call({ origin: 'http://127.0.0.1:1' }), status: 403 },
  {
    what: 'a call from our origin in another scheme',
    bytes: () => call({ origin: `https://127.0.0.1:${port}` }),
    status: 403,
  },
  { what: 'a call from our origin with a suffix', bytes: () => call({ origin: `${origin}.example.org` }), status: 403 },
  { what: 'a call from a null origin', bytes: () => call({ origin: 'null' }), status: 403 },
  { what: 'a call without origin', bytes: () => call({ origin: undefined }), status: 403 },
  { what: 'a page read from another origin', bytes: () => page({ origin: 'http://example.org' }), status: 403 },
  {
    what: 'an image of another site that asks for a start link',
    bytes: () =>
      page({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }, 'GET /start/x'),
    status: 403,
  },
  {
    what: 'a frame in a page of another port',
    bytes: () => page({ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' }),
    status: 403,
  },
  // Sessions and tokens.
  { what: 'a page without cookie', bytes: () => page({ cookie: undefined }), status: 401 },
  { what: 'a script without cookie', bytes: () => page({ cookie: undefined }, 'GET /assets/app-1a2b.js'), status: 401 },
  { what: 'a guessed cookie', bytes: () => page({ cookie: `godwit_${port}=${'A'.repeat(43)}` }), status: 401 },
  {
    what: 'the cookie of a Godwit on another port',
    bytes: () => page({ cookie: session.cookie.replace(/^godwit_\d+/u, 'godwit_1') }),
    status: 401,
  },
  { what: 'a guessed start link', bytes: () => page({}, `GET /start/${'A'.repeat(43)}`), status: 403 },
  { what: 'a call without token', bytes: () => call({ 'x-godwit-token': undefined }), status: 401 },
  { what: 'a call with a bad token', bytes: () => call({ 'x-godwit-token': 'A'.repeat(43) }), status: 401 },
  { what: 'a call with token and no cookie', bytes: () => call({ cookie: undefined }), status: 401 },
  {
    what: 'a token asked for without the header that a form cannot send',
    bytes: () => request('POST /api/session', own({ origin })),
    status: 401,
  },
  { what: 'events without token', bytes: () => upgrade({ 'sec-websocket-protocol': 'godwit' }), status: 401 },
  { what: 'events without subprotocol', bytes: () => upgrade({ 'sec-websocket-protocol': undefined }), status: 401 },
  {
    what: 'events with a bad token',
    bytes: () => upgrade({ 'sec-websocket-protocol': 'godwit, token.AAAA' }),
    status: 401,
  },
  { what: 'events without cookie', bytes: () => upgrade({ cookie: undefined }), status: 401 },
  { what: 'events from another origin', bytes: () => upgrade({ origin: 'http://example.org' }), status: 403 },
  { what: 'events from a null origin', bytes: () => upgrade({ origin: 'null' }), status: 403 },
  { what: 'events without origin', bytes: () => upgrade({ origin: undefined }), status: 403 },
  { what: 'events under a rebound name', bytes: () => upgrade({ host: `rebound.example:${port}` }), status: 421 },
  { what: 'an upgrade elsewhere', bytes: () => upgrade({}, 'GET /'), status: 404 },
  { what: 'an upgrade of an address without a host', bytes: () => upgrade({}, 'GET //'), status: 400 },
  { what: 'an upgrade of an address with half a host', bytes: () => upgrade({}, 'GET http://['), status: 400 },
  { what: 'an upgrade to another protocol', bytes: () => upgrade({ upgrade: 'h2c' }), status: 400 },
  // Addresses.
  ...[
    '/assets/../../secret.txt',
    '/assets/%2e%2e/%2e%2e/secret.txt',
    '/assets/..%2f..%2fsecret.txt',
    '/assets/%252e%252e%252fsecret.txt',
    '/assets/..\\..\\secret.txt',
    '/assets/..%5c..%5csecret.txt',
    '/../secret.txt',
    '/assets/%00',
    '//example.org/',
    'http://example.org/',
  ].map((url) => ({ what: `the address ${url}`, bytes: () => page({}, `GET ${url}`), status: 400 })),
  { what: 'an address that is no UTF-8', bytes: () => page({}, 'GET /start/%c0%af'), status: 400 },
  { what: 'a folder', bytes: () => page({}, 'GET /assets/'), status: 404 },
  { what: 'a script that is not there', bytes: () => page({}, 'GET /assets/none.js'), status: 404 },
  { what: 'an address that is too long', bytes: () => page({}, `GET /${'a'.repeat(3000)}`), status: 414 },
  {
    what: 'a start link that is too long',
    bytes: () => page({ cookie: undefined }, `GET /start/${'a'.repeat(2000)}`),
    status: 400,
  },
  // Methods.
  {
    what: 'a preflight',
    bytes: () =>
      request(
        'OPTIONS /api/call/machines.list',
        own({ origin: 'http://example.org', 'access-control-request-method': 'POST' }),
      ),
    status: 405,
  },
  ...['TRACE', 'PUT', 'DELETE', 'PATCH', 'HEAD'].map((method) => ({
    what: `the method ${method}`,
    bytes: () => page({}, `${method} /`),
    status: 405,
  })),
  { what: 'a tunnel', bytes: () => page({}, 'CONNECT example.org:80'), status: [0, 400, 405] },
  {
    what: 'a call as GET with a method override',
    bytes: () =>
      page({ 'x-http-method-override': 'POST', 'x-godwit-token': session.token }, 'GET /api/call/machines.list'),
    status: 404,
  },
  // Bodies.
  { what: 'a body that is too large', bytes: () => call({}, `{"input":"${'a'.repeat(1024 ** 2)}"}`), status: 413 },
  { what: 'a length that is too large', bytes: () => call({ 'content-length': '99999999999' }), status: 413 },
  { what: 'JSON that is none', bytes: () => call({}, '{"input":'), status: 400 },
  { what: 'JSON that is not UTF-8', bytes: () => call({}, Buffer.from([0x7b, 0xff, 0xfe, 0x7d])), status: 400 },
  { what: 'an empty body', bytes: () => call({ 'content-length': '0' }, ''), status: 400 },
  { what: 'a prototype in the body', bytes: () => call({}, '{"__proto__":{"input":{}}}'), status: 400 },
  { what: 'a prototype in the input', bytes: () => call({}, '{"input":{"__proto__":{"polluted":true}}}'), status: 400 },
  {
    what: 'a constructor in the input',
    bytes: () => call({}, '{"input":{"constructor":{"prototype":{"polluted":true}}}}'),
    status: 400,
  },
  { what: 'a body that is an array', bytes: () => call({}, '[{}]'), status: 400 },
  {
    what: 'deeply nested JSON',
    reaches: true,
    bytes: () => call({}, `{"input":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
    status: 400,
  },
  {
    what: 'a form',
    bytes: () => call({ 'content-type': 'application/x-www-form-urlencoded' }, 'input=1'),
    status: 415,
  },
  { what: 'plain text', bytes: () => call({ 'content-type': 'text/plain' }), status: 415 },
  {
    what: 'a length and chunks at once',
    bytes: () => call({ 'transfer-encoding': 'chunked' }, '0\r\n\r\n'),
    status: 400,
  },
  // Calls.
  ...['__proto__', 'constructor', 'toString', 'machines.none', 'hasOwnProperty', '%2e'].map((name) => ({
    what: `the call ${name}`,
    bytes: () => call({}, '{"input":{}}', name),
    status: 400,
  })),
  {
    what: 'a call of a missing machine',
    bytes: () => call({}, '{"input":{"id":"0b0e7b0a-0000-4000-8000-000000000000"}}', 'machines.start'),
    status: [400, 404],
  },
  // Not HTTP.
  { what: 'a header that is too large', bytes: () => page({ 'x-large': 'a'.repeat(20_000) }), status: 431 },
  { what: 'garbage', bytes: () => '\x16\x03\x01\x00\xa5\x01\r\n\r\n', status: 400 },
  { what: 'a header with a line feed alone', bytes: () => `GET / HTTP/1.1\nHost: x\n\n`, status: [400, 421] },
];

const performed = (): number => test.manager.called.filter((name) => name === 'machines.list').length;

function answered(answer: RawAnswer, status: number | readonly number[]): void {
  expect([status].flat()).toContain(answer.status);
  for (const name of Object.keys(answer.headers)) expect(name).not.toMatch(/^access-control-/u);
  expect(answer.text).not.toContain('SECRET OUTSIDE');
  expect(answer.text).not.toContain('/assets/app-1a2b.js');
  expect(answer.headers['set-cookie']).toBeUndefined();
}

describe('a hostile request is refused, tells nothing, and leaves the server as it was:', () => {
  it.each(rows)('$what', async ({ bytes, status, reaches = false }) => {
    const before = performed();
    answered(await exchange(port, bytes()), status);
    if (!reaches) expect(performed()).toBe(before);
    expect((await exchange(port, call())).status).toBe(200);
    expect({} as { polluted?: unknown }).not.toHaveProperty('polluted');
  });
});

describe('a connection that misbehaves', () => {
  it('is closed at the garbage that is pipelined behind a good request', async () => {
    const socket = await open(port);
    socket.write(Buffer.concat([page({ connection: 'keep-alive' }), Buffer.from('\0\0 nonsense\r\n\r\n')]));
    expect(await readToEnd(socket)).toMatch(/HTTP\/1\.1 400/u);
    expect((await exchange(port, call())).status).toBe(200);
  });

  it('is closed when its request does not become whole in time', async () => {
    const socket = await open(port);
    socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${String(port)}\r\nX-Slow: `);
    const drip = setInterval(() => socket.write('a'), 50);
    const text = await readToEnd(socket);
    clearInterval(drip);
    expect(parse(text).status).toBe(408);
  });

  it('is closed when its body does not become whole in time', async () => {
    const socket = await open(port);
    socket.write(call({ 'content-length': '1000', connection: 'keep-alive' }));
    expect([0, 400, 408]).toContain(parse(await readToEnd(socket)).status);
    expect((await exchange(port, call())).status).toBe(200);
  });

  it('is refused before its body is read when it has no token', async () => {
    const socket = await open(port);
    socket.write(call({ 'content-length': '1000000', 'x-godwit-token': 'no' }));
    expect(parse(await readToEnd(socket)).status).toBe(401);
  });
});

describe('what a good request gets', () => {
  it('is the document with a strict policy, never from a cache', async () => {
    const { status, headers, body } = await exchange(port, page());
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    });
    const policy = headers['content-security-policy'] ?? '';
    const [, nonce = ''] = /style-src 'self' 'nonce-([^']{24})'/u.exec(policy) ?? [];
    expect(body).toBe(DOCUMENT.replace('__CSP_NONCE__', nonce));
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect(policy).toContain("frame-ancestors 'none'");
  });

  it('is the document under every address of the app', async () => {
    expect((await exchange(port, page({}, 'GET /runs/17?tab=events'))).body).toContain('<title>Godwit</title>');
  });

  it('is a script that may be kept, since its name changes with its content', async () => {
    const { status, headers } = await exchange(port, page({}, 'GET /assets/app-1a2b.js'));
    expect(status).toBe(200);
    expect(headers['content-type']).toMatch(/^(text|application)\/javascript/u);
    expect(headers['cache-control']).toBe('private, max-age=31536000, immutable');
  });

  it('is the answer of the manager, or its error with its code', async () => {
    const good = await exchange(port, call());
    expect(JSON.parse(good.body)).toEqual({ output: { machines: [] } });
    const bad = await exchange(port, call({}, '{"input":{}}', 'settings.get'));
    expect(bad.status).toBe(409);
    expect(JSON.parse(bad.body)).toEqual({ error: { code: 'refused', message: 'This manager has no machines.' } });
  });

  it('comes from another site by a link, since a mail or a chat may hold the start link', async () => {
    const path = new URL(test.app.newStartLink()).pathname;
    const headers = {
      cookie: undefined,
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    };
    const { status, headers: answer } = await exchange(port, page(headers, `GET ${path}`));
    expect(status).toBe(200);
    expect(answer['set-cookie']).toMatch(
      new RegExp(`^godwit_${String(port)}=[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict$`, 'u'),
    );
  });
});
