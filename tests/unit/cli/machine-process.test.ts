// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeExit, lastWordsOf, spawnMachine } from '../../../src-main/manager/machines/builtin.ts';

const earlier = process.env['GODWIT_HOME'];
let home = '';
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'gw-'));
  process.env['GODWIT_HOME'] = home;
});
afterEach(() => {
  if (earlier === undefined) delete process.env['GODWIT_HOME'];
  else process.env['GODWIT_HOME'] = earlier;
  rmSync(home, { recursive: true, force: true });
});

const tooMany = { name: 'm', machine: 'microvm', memoryBytes: 2 ** 20, cpus: 99, paused: true } as const;

describe('a machine process that cannot start', () => {
  test('says why, in its own words, and leaves nothing behind', async () => {
    const machine = spawnMachine(tooMany);
    expect(statSync(machine.folder).mode & 0o777).toBe(0o700);
    const words = '--cpus "99" is not a whole number from 1 to 16';
    await expect(machine.ready).rejects.toMatchObject({
      code: 'MACHINE',
      message: `machine m did not start: ${words}`,
    });
    expect(await machine.exited).toEqual({ code: 2, signal: null, lastWords: words });
    expect(machine.lastWords()).toBe(words);
    expect(machine.kill('SIGTERM')).toBe(false);
    await machine.dispose();
    await machine.dispose();
    expect(existsSync(machine.folder)).toBe(false);
    expect(readdirSync(join(home, 'run'))).toEqual([]);
  });

  test('may be disposed of before it had the time to say so', async () => {
    const machine = spawnMachine(tooMany);
    await machine.dispose();
    await expect(machine.ready).rejects.toThrow('machine m did not start');
    expect(existsSync(machine.folder)).toBe(false);
  });
});

describe('last words', () => {
  test.each([
    ['godwit: first\nnode noise\ngodwit: last\nmore noise\n', 'last'],
    ['Error: x\n    at y\n', '    at y'],
    ['godwit: \u001b[31mred\n', '\\x1b[31mred'],
    ['', ''],
  ])('of %j are %j', (stderr, words) => {
    expect(lastWordsOf(stderr)).toBe(words);
  });

  test('are replaced by the exit code or the signal where there are none', () => {
    expect(describeExit({ code: 1, signal: null, lastWords: 'no memory' })).toBe('no memory');
    expect(describeExit({ code: 3, signal: null, lastWords: '' })).toBe('exit code 3');
    expect(describeExit({ code: null, signal: 'SIGKILL', lastWords: '' })).toBe('killed by SIGKILL');
  });
});
