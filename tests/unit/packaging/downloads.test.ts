// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missingDownloads } from '../../../scripts/packaging/downloads.ts';
import { packagingFailure } from '../../../scripts/packaging/failure.ts';
import type { Target } from '../../../scripts/packaging/pack.ts';

let cache: string;
let asked: string[];
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'godwit-cache-'));
  asked = [];
});
afterEach(() => {
  rmSync(cache, { recursive: true, force: true });
});

const options = (targets: readonly Target[], electronDist?: string) => ({ targets, electronDist, output: 'dist' });
const offline = (url: string): Promise<boolean> => {
  asked.push(url);
  return Promise.resolve(false);
};
const missing = (targets: readonly Target[], electronDist?: string, env: Record<string, string> = {}) =>
  missingDownloads(options(targets, electronDist), { XDG_CACHE_HOME: cache, ...env }, offline);

describe('what packing has to download', () => {
  it('is said before anything is tried, with the way around it', async () => {
    expect(await missing(['dir'])).toMatch(
      /^The runtime of Electron \S+ cannot be downloaded: github\.com does not answer\. Unpack electron-v\S+-linux-x64\.zip .*--electron-dist DIR/,
    );
    expect(await missing(['deb'], '/electron')).toMatch(/^fpm, .* USE_SYSTEM_FPM=true, .*--dir\.$/);
    expect(await missing(['AppImage'], '/electron')).toMatch(/^What makes an AppImage .*--target deb/);
  });

  it('is nothing for a plain folder of a given Electron', async () => {
    expect(await missing(['dir'], '/electron')).toBeNull();
    expect(asked).toEqual([]);
  });

  it('is nothing where an earlier time left it, or the user has it', async () => {
    const version = /Electron (\S+) /.exec((await missing(['dir'])) ?? '')?.[1] ?? '';
    mkdirSync(join(cache, 'electron', 'a1b2'), { recursive: true });
    writeFileSync(join(cache, 'electron', 'a1b2', `electron-v${version}-linux-x64.zip`), '');
    for (const name of ['fpm@2.1.4', 'appimage@1.0.3'])
      mkdirSync(join(cache, 'electron-builder', name), { recursive: true });
    expect(await missing(['deb', 'AppImage'])).toBeNull();
    expect(await missing(['deb'], undefined, { ELECTRON_BUILDER_CACHE: '/none', USE_SYSTEM_FPM: 'true' })).toBeNull();
  });

  it('is asked of the mirror that the user names, and not at all behind a proxy', async () => {
    expect(await missing(['dir'], undefined, { ELECTRON_MIRROR: 'https://mirror.example/electron/' })).toContain(
      'mirror.example',
    );
    expect(asked).toEqual(['https://mirror.example/electron/']);
    expect(await missing(['dir'], undefined, { HTTPS_PROXY: 'http://proxy.example' })).toBeNull();
  });
});

describe('a failure while packing', () => {
  it('of the network is one sentence with the remedy', () => {
    const error = Object.assign(new Error('getaddrinfo ENOTFOUND github.com\n    at somewhere'), { code: 'ENOTFOUND' });
    expect(packagingFailure(error)).toMatch(
      /^what packing needs cannot be downloaded: getaddrinfo ENOTFOUND github\.com\. Try/,
    );
  });

  it('of a missing fpm says what asked for it', () => {
    const error = new Error('fpm process failed ENOENT\nExit code:\nENOENT. spawn fpm ENOENT');
    expect(packagingFailure(error)).toMatch(/^fpm is not installed, and USE_SYSTEM_FPM .*\.$/);
  });

  it('of another kind says what the tool said', () => {
    expect(packagingFailure(new Error('fpm: error'))).toBe('fpm: error');
    expect(packagingFailure('no error')).toBe('no error');
  });
});
