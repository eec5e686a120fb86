// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ensureRuntimeDir, makeRunFolder, runtimeDirPath } from '../../../src-main/manager/paths.ts';

const uid = process.getuid?.() ?? 0;
let base = '';

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'gw-'));
});
afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

describe('the runtime folder', () => {
  test.each([
    [{ GODWIT_HOME: '/h', XDG_RUNTIME_DIR: '/run/user/7' }, '/h/run'],
    [{ XDG_RUNTIME_DIR: '/run/user/7' }, '/run/user/7/godwit'],
    [{ XDG_RUNTIME_DIR: 'relative' }, '/tmp/godwit-7'],
    [{ GODWIT_HOME: 'relative' }, '/tmp/godwit-7'],
    [{ GODWIT_HOME: '', XDG_RUNTIME_DIR: '' }, '/tmp/godwit-7'],
    [{}, '/tmp/godwit-7'],
  ])('for %j is %s', (env, path) => {
    expect(runtimeDirPath(env, 7)).toBe(path);
  });

  test('is created for this user alone, also where a parent is missing', () => {
    const path = ensureRuntimeDir({ GODWIT_HOME: join(base, 'a', 'b') }, uid);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  test('is closed to others when it was open', () => {
    mkdirSync(join(base, 'run'), { mode: 0o755 });
    expect(statSync(ensureRuntimeDir({ GODWIT_HOME: base }, uid)).mode & 0o777).toBe(0o700);
  });

  test('is refused when it is a link, a file or of somebody else', () => {
    symlinkSync('/tmp', join(base, 'run'));
    expect(() => ensureRuntimeDir({ GODWIT_HOME: base }, uid)).toThrow('is not a folder of this user: remove it');
    rmSync(join(base, 'run'));
    mkdirSync(join(base, 'run'));
    expect(() => ensureRuntimeDir({ GODWIT_HOME: base }, uid + 1)).toThrow('is not a folder of this user: remove it');
  });

  test('is refused by name where it cannot be created', () => {
    writeFileSync(join(base, 'file'), '');
    expect(() => ensureRuntimeDir({ GODWIT_HOME: join(base, 'file') }, uid)).toThrow(
      /cannot be created .* set GODWIT_HOME/,
    );
  });

  test('is refused where the paths of sockets would be too long', () => {
    const home = join(base, 'x'.repeat(90));
    expect(() => ensureRuntimeDir({ GODWIT_HOME: home }, uid)).toThrow('is too long for unix sockets');
    expect(existsSync(home)).toBe(false);
  });
});

describe('a machine folder', () => {
  test('is private, and each is another', () => {
    const [a, b] = [makeRunFolder({ GODWIT_HOME: base }), makeRunFolder({ GODWIT_HOME: base })];
    expect(a).not.toBe(b);
    expect(statSync(a).mode & 0o777).toBe(0o700);
  });

  test('of a process that is gone is removed, others stay', () => {
    const mine = makeRunFolder({ GODWIT_HOME: base });
    const abandoned = join(dirname(mine), 'vm-4194305-abcdef'); // beyond the largest process number
    const foreign = join(dirname(mine), 'vm-notes');
    mkdirSync(abandoned);
    mkdirSync(foreign);
    makeRunFolder({ GODWIT_HOME: base });
    expect([mine, abandoned, foreign].map((path) => existsSync(path))).toEqual([true, false, true]);
  });
});
