// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { screensHandler } from '../../../src-main/shells/electron/app-protocol.ts';

let folder: string;
let handle: ReturnType<typeof screensHandler>;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-app-protocol-'));
  const files = join(folder, 'renderer');
  mkdirSync(join(files, 'assets'), { recursive: true });
  writeFileSync(join(files, 'index.html'), '<meta name="csp-nonce" content="__CSP_NONCE__">');
  writeFileSync(join(files, 'assets', 'app-1a_b.js'), 'export {};');
  writeFileSync(join(files, 'assets', 'notes.txt'), 'not for the page');
  writeFileSync(join(files, '.hidden.js'), 'hidden');
  writeFileSync(join(folder, 'secret.js'), 'SECRET');
  symlinkSync(join(folder, 'secret.js'), join(files, 'assets', 'link.js'));
  handle = screensHandler(files);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What Electron gives: an address that no URL class has tidied up. */
const request = (url: string, method = 'GET'): Parameters<typeof handle>[0] => ({ url, method });

describe('the app protocol', () => {
  it('serves the document with a policy of its own for each load', async () => {
    const first = await handle(request('app://godwit/#/runs'));
    const second = await handle(request('app://godwit/'));
    const policy = first.headers.get('content-security-policy') ?? '';
    const nonce = /'nonce-([^']+)'/.exec(policy)?.[1] ?? '';
    expect(await first.text()).toBe(`<meta name="csp-nonce" content="${nonce}">`);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("connect-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(second.headers.get('content-security-policy')).not.toBe(policy);
  });

  it('serves the files beside it as what they are', async () => {
    const answer = await handle(request('app://godwit/assets/app-1a_b.js'));
    expect([answer.status, await answer.text()]).toEqual([200, 'export {};']);
    expect(answer.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it.each([
    'app://godwit/../secret.js',
    'app://godwit/assets/../../secret.js',
    'app://godwit/%2e%2e/secret.js',
    'app://godwit/assets/..%2f..%2fsecret.js',
    'app://godwit//etc/passwd.js',
    'app://godwit/assets/link.js',
    'app://godwit/.hidden.js',
    'app://godwit/assets/notes.txt',
    'app://godwit/assets',
    'app://godwit/assets/missing.js',
    'app://godwit/assets/app-1a_b.js%00.js',
    'app://other/index.html',
    'app://godwit.example/index.html',
  ])('has nothing at %s', async (url) => {
    const answer = await handle(request(url));
    expect([answer.status, await answer.text()]).toEqual([404, '']);
  });

  it('takes nothing but GET', async () => {
    expect((await handle(request('app://godwit/', 'POST'))).status).toBe(405);
  });
});
