// SPDX-License-Identifier: Apache-2.0
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findDesktop, runDesktop } from '../../../src-main/shells/cli/desktop.ts';
import type { CliIo } from '../../../src-main/shells/cli/io.ts';

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'godwit-desktop-'))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, text = ''): string {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

const display = { DISPLAY: ':0' };

describe('godwit alone', () => {
  it('opens the window of a checkout whose app is built, where there is a display', () => {
    const executable = put('node_modules/electron/dist/electron');
    put('out/app/src-main/main.js');
    const found = { executable, args: [join(root, 'out', 'app')] };
    expect(findDesktop(display, root)).toEqual(found);
    expect(findDesktop({ WAYLAND_DISPLAY: 'wayland-0' }, root)).toEqual(found);
  });

  it('takes the runtime that the variable names', () => {
    const executable = put('elsewhere/electron');
    put('out/app/src-main/main.js');
    const env = { ...display, ELECTRON_OVERRIDE_DIST_PATH: join(root, 'elsewhere') };
    expect(findDesktop(env, root)).toMatchObject({ executable });
  });

  it.each([
    ['no display', {}, [], 'There is no display: Godwit opens in a browser.'],
    ['a display without a name', { DISPLAY: '' }, [], 'There is no display: Godwit opens in a browser.'],
    [
      'no runtime',
      display,
      ['out/app/src-main/main.js'],
      /^The desktop runtime is not installed \(npx install-electron/,
    ],
    [
      'no built app',
      display,
      ['node_modules/electron/dist/electron'],
      'The desktop app is not built: Godwit opens in a browser.',
    ],
  ])('opens a browser and says why where there is %s', (_what, env, files, sentence) => {
    for (const file of files) put(file);
    const found = findDesktop(env, root);
    expect(found).toEqual(typeof sentence === 'string' ? sentence : (expect.stringMatching(sentence) as string));
  });

  it('ends as the window does, and starts it as a window', async () => {
    const executable = put('electron', `#!/bin/sh\nenv > '${join(root, 'env')}'\nexit 7\n`);
    chmodSync(executable, 0o755);
    const sink = { write: () => true };
    const io: CliIo = {
      stdout: sink,
      stderr: sink,
      env: { PATH: process.env['PATH'], ELECTRON_RUN_AS_NODE: '1' },
      onInterrupt: () => () => undefined,
    };
    expect(await runDesktop({ executable, args: [] }, io)).toBe(7);
    expect(readFileSync(join(root, 'env'), 'utf8')).not.toContain('ELECTRON_RUN_AS_NODE');
  });

  it('says so where the runtime cannot be started', async () => {
    const sink = { write: () => true };
    const io: CliIo = { stdout: sink, stderr: sink, env: {}, onInterrupt: () => () => undefined };
    await expect(runDesktop({ executable: join(root, 'missing'), args: [] }, io)).rejects.toThrow(/missing.*ENOENT/);
  });
});
