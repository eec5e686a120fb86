// SPDX-License-Identifier: Apache-2.0
/** TLS, the password and the names, against a real TLS client. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as send } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLoopback, linkName, servedNames } from '../../../src-main/shells/served/binding.ts';
import { hashPassword } from '../../../src-main/shells/served/password-login.ts';
import { serve } from '../../../src-main/shells/served/server.ts';
import { exchange, request } from '../../support/served/raw-http.ts';
import { startApp, type TestApp } from '../../support/served/served-app.ts';

const PASSWORD = 'correct horse';
let folder: string;
let test: TestApp;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gw-tls-'));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-subj', '/CN=box.example'];
  execFileSync('openssl', ['req', '-x509', '-nodes', '-days', '2', ...made, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  });
  test = await startApp({
    host: '0.0.0.0',
    names: ['box.example'],
    tls: {
      cert: readFileSync(cert, 'utf8'),
      key: readFileSync(key, 'utf8'),
      passwordHash: await hashPassword(PASSWORD),
    },
  });
});
afterAll(async () => {
  await test.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

function fetched(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body = '',
): Promise<Answer> {
  const { port } = test.app;
  const given = { host: `box.example:${String(port)}`, ...headers };
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, method, path, headers: given, rejectUnauthorized: false };
    const sent = send(options, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }));
    });
    sent.on('error', reject).end(body);
  });
}

const login = (password: string, origin = test.app.origin): Promise<Answer> =>
  fetched(
    'POST',
    '/login',
    { origin, 'content-type': 'application/x-www-form-urlencoded' },
    new URLSearchParams({ password }).toString(),
  );

describe('beyond loopback', () => {
  it('nothing listens without TLS', async () => {
    const { manager, files } = test;
    const options = { port: 0, files, manager: Promise.resolve(manager) };
    await expect(serve({ ...options, host: '0.0.0.0' })).rejects.toThrow(/TLS/u);
    await expect(serve({ ...options, host: '127.example.com' })).rejects.toThrow(/TLS/u);
  });

  it('a start link carries the given name, which is on the Host allow list', async () => {
    expect(test.app.newStartLink()).toMatch(/^https:\/\/box\.example:\d+\/start\/[\w-]{43}$/u);
    expect((await fetched('GET', '/login')).status).toBe(200);
    expect((await fetched('GET', '/login', { host: `other.example:${String(test.app.port)}` })).status).toBe(421);
  });

  it('a browser without session is sent to the password', async () => {
    const { status, headers } = await fetched('GET', '/');
    expect([status, headers['location']]).toEqual([303, '/login']);
  });

  it('the password opens a session whose cookie is for TLS only', async () => {
    const { status, headers } = await login(PASSWORD);
    expect([status, headers['location']]).toEqual([303, '/']);
    const [cookie = ''] = [headers['set-cookie']].flat();
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict; Secure$/u);
    expect((await fetched('GET', '/', { cookie: cookie.split(';')[0] ?? '' })).status).toBe(200);
  });

  it('a form of another site does not get to try passwords', async () => {
    expect((await login(PASSWORD, 'https://example.org')).status).toBe(403);
  });

  it('plain HTTP gets nothing', async () => {
    const answer = await exchange(test.app.port, request('GET /', { host: `box.example:${String(test.app.port)}` }));
    expect(answer.status).toBe(0);
  });

  it('a guesser gets five attempts a minute, then not even the right one', async () => {
    const statuses: number[] = [];
    for (let index = 0; index < 6; index += 1) statuses.push((await login(`wrong ${String(index)}`)).status);
    expect(statuses).toContain(403);
    expect(statuses.at(-1)).toBe(429);
    expect((await login(PASSWORD)).status).toBe(429);
  });
});

describe('loopback', () => {
  it.each(['127.0.0.1', '127.8.9.10', '::1', 'localhost'])('is %s', (host) => expect(isLoopback(host)).toBe(true));
  it.each([
    '127.example.com',
    '127.0.0.1.example.com',
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '',
    '1270.0.0.1',
    'LOCALHOST.example',
  ])('is not %j', (host) => expect(isLoopback(host)).toBe(false));
});

describe('names', () => {
  it('hold the addresses of the box where it listens on all of them', () => {
    expect(servedNames('0.0.0.0', ['Box.Example'])).toEqual(
      expect.arrayContaining(['127.0.0.1', 'localhost', 'box.example']),
    );
  });
  it('hold nothing but loopback where it listens there', () => {
    expect(servedNames('127.0.0.1', [])).toEqual(['127.0.0.1', 'localhost', '::1']);
  });
  it('give a link what a browser can reach', () => {
    expect(linkName('127.0.0.1', [])).toBe('127.0.0.1');
    expect(linkName('0.0.0.0', [])).not.toBe('0.0.0.0');
    expect(linkName('0.0.0.0', ['box.example'])).toBe('box.example');
  });
});
