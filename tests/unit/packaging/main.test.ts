// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { main } from '../../../scripts/packaging/main.ts';

let folder: string;
let said: string[];
const buildApp = vi.fn(() => Promise.reject(new Error('nothing is to be built')));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-dist-'));
  said = [];
  vi.spyOn(console, 'error').mockImplementation((line: string) => void said.push(line));
  // Nobody listens there, and nothing was downloaded earlier.
  vi.stubEnv('ELECTRON_MIRROR', 'http://127.0.0.1:9/');
  vi.stubEnv('XDG_CACHE_HOME', folder);
  for (const name of ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy']) vi.stubEnv(name, '');
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  buildApp.mockClear();
  rmSync(folder, { recursive: true, force: true });
});

describe('npm run dist', () => {
  it.each([[['--target', 'rpm']], [['--dir', '--target', 'deb']], [['--fast']], [['deb']]])(
    'refuses %j with its usage',
    async (args) => {
      expect(await main(args, buildApp)).toBe(2);
      expect(said).toEqual([expect.stringMatching(/^usage: npm run dist -- /)]);
    },
  );

  it('says at once and in one line that it has no Electron, and builds nothing', async () => {
    expect(await main(['--dir'], buildApp)).toBe(1);
    expect(said).toEqual([
      expect.stringMatching(/^godwit: The runtime of Electron [^\n]* 127\.0\.0\.1:9 [^\n]*--electron-dist/),
    ]);
    expect(buildApp).not.toHaveBeenCalled();
  });
});
