// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadDemoGuestCode } from '../../../src-main/machine/vm/guest/guest-code.ts';
import { CODE_PAGES, PAGE_SIZE } from '../../../src-main/machine/vm/guest/layout.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const script = path.join(root, 'scripts', 'build-guest.mjs');
const image = path.join(root, 'build', 'demo-guest.bin');

function build(env: NodeJS.ProcessEnv = process.env) {
  return spawnSync(process.execPath, [script], { encoding: 'utf8', env });
}

describe('the build of the demo guest', () => {
  it('assembles an image that fits into its pages, once', () => {
    expect(build()).toMatchObject({ status: 0, stderr: '' });
    const code = loadDemoGuestCode();
    expect(code.length).toBeGreaterThan(1000);
    expect(code.length).toBeLessThanOrEqual(CODE_PAGES * PAGE_SIZE);
    const first = statSync(image).mtimeMs;
    expect(build()).toMatchObject({ status: 0, stdout: '' });
    expect(statSync(image).mtimeMs).toBe(first);
  });

  it('says which package to install when the assembler is missing', () => {
    const nowhere = mkdtempSync(path.join(tmpdir(), 'godwit-no-tools-'));
    const { mtime, atime } = statSync(image);
    try {
      utimesSync(image, 0, 0);
      const result = build({ PATH: nowhere });
      expect(result.status).toBe(1);
      expect(result.stderr).toMatch(/"as" is missing.*binutils/);
      expect(result.stderr).not.toContain('    at ');
    } finally {
      utimesSync(image, atime, mtime);
      rmSync(nowhere, { recursive: true });
    }
  });

  it('names the build script when the image is missing', () => {
    expect(() => loadDemoGuestCode('/nonexistent/demo-guest.bin')).toThrow(/not built.*ENOENT.*build-guest/);
  });
});
