// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { failureOf } from '../../../src-main/shells/cli/failure-line.ts';
import { runCli } from '../../../src-main/shells/cli/program.ts';
import { DemoError } from '../../../src-main/manager/demo.ts';
import { MachineError } from '../../../src-main/manager/machines/builtin.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import { UsageError } from '../../../src-shared/usage-error.ts';

async function run(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const text = { stdout: '', stderr: '' };
  const code = await runCli(argv, {
    stdout: { write: (piece) => (text.stdout += piece) },
    stderr: { write: (piece) => (text.stderr += piece) },
    env: {},
    onInterrupt: () => () => undefined,
  });
  return { code, ...text };
}

describe('a command line that cannot be meant', () => {
  test.each<[string[], string]>([
    [['nosuch'], "unknown command 'nosuch' (see godwit --help)"],
    [['--bogus'], "unknown option '--bogus' (see godwit --help)"],
    [['demo', '--bogus'], "unknown option '--bogus' (see godwit --help)"],
    [['demo', '--memry', '1'], "unknown option '--memry' (Did you mean --memory?) (see godwit --help)"],
    [['demo', '--memory'], "option '--memory <size>' argument missing (see godwit --help)"],
    [['demo', 'now'], "too many arguments for 'demo'. Expected 0 arguments but got 1: now. (see godwit --help)"],
    [['demo', '--memory', 'lots'], '--memory "lots" is not a size: write it as 256M or 4G'],
    [['demo', '--cpus', '99'], '--cpus "99" is not a whole number from 1 to 16'],
    [['demo', '--dirty-rate', '0'], '--dirty-rate "0" is not a whole number from 1 to 10000000'],
    [
      ['demo', '--memory', '64M', '--working-set', '64M'],
      '--working-set "64M" does not fit into 64M of memory: make it smaller',
    ],
    [['demo', '--working-set', '4K'], '--working-set gives 2 vCPUs less than a page each: make it larger'],
    [['demo', '--mode', 'postcopy'], '--mode "postcopy" is not built yet: use --mode precopy'],
    [['demo', '--cut', '1'], '--cut needs postcopy, which is not built yet: a precopy whose link is cut just fails'],
    [['demo', '--uri', 'exec:rm'], '--uri "exec:rm" is not understood: write it as tcp:HOST:PORT or unix:PATH'],
    [['demo', '--memory', '\u001b[2J'], '--memory "\\u001b[2J" is not a size: write it as 256M or 4G'],
    [['vm', '--machine', 'pc', '--qmp', 'unix:/x'], '--machine "pc" is not known: use none or microvm'],
    [
      ['serve', '--host', '0.0.0.0'],
      '--host "0.0.0.0" can be reached from other boxes, so it needs TLS and a password: godwit serve --host 0.0.0.0 --tls-cert FILE --tls-key FILE --password-file FILE',
    ],
    [['serve', '--tls-cert', 'x'], '--tls-cert, --tls-key and --password-file go together: give all three'],
    [
      ['serve', '--tls-cert', 'x', '--tls-key', 'x', '--password-file', '/nonexistent/password'],
      '--password-file "/nonexistent/password" cannot be read (ENOENT)',
    ],
    [['serve', '--port', '99999'], '--port "99999" is not a whole number from 0 to 65535'],
    [
      ['serve', '--host', '127.255.255.254x'],
      '--host "127.255.255.254x" can be reached from other boxes, so it needs TLS and a password: godwit serve --host 127.255.255.254x --tls-cert FILE --tls-key FILE --password-file FILE',
    ],
    [['vm', '--paused'], '--qmp unix:PATH is missing: a machine is driven through that socket'],
  ])('%j gives one line on stderr and exit code 2', async (argv, line) => {
    expect(await run(...argv)).toEqual({ code: 2, stdout: '', stderr: `godwit: ${line}\n` });
  });
});

test('help and version go to stdout and succeed', async () => {
  expect(await run('--version')).toMatchObject({ code: 0, stdout: '0.1.0\n', stderr: '' });
  const help = await run('--help');
  expect(help).toMatchObject({ code: 0, stderr: '' });
  for (const command of ['demo', 'vm', 'inspect', 'doctor']) expect(help.stdout).toContain(command);
  expect((await run('help', 'vm')).stdout).toContain('--only-migratable');
});

describe('the exit code', () => {
  test.each<[Error, number]>([
    [new UsageError('x'), 2],
    [new DemoError('BLOCKED', 'x'), 3],
    [new DemoError('FAILED', 'x'), 4],
    [new DemoError('CANCELLED', 'x'), 5],
    [new MachineError('x'), 1],
  ])('of %s is %d, and the line is its sentence', (error, code) => {
    expect(failureOf(error)).toMatchObject({ exitCode: code, line: 'x' });
  });

  test('of a fault of Godwit is 1, and the line says how to see where', () => {
    expect(failureOf(new TypeError('x is not a function'))).toMatchObject({
      exitCode: 1,
      line: 'unexpected error: x is not a function (set GODWIT_DEBUG=1 to see where)',
    });
  });
});

describe('an error line', () => {
  test('is one line without control characters, however long and strange the text', () => {
    const { line } = failureOf(new MachineError(`a\n\tb\u001b]0;title\u0007\u009b1m${'c'.repeat(5000)}`));
    expect(line.startsWith('a b\\x1b]0;title\\x07\\x9b1mccc')).toBe(true);
    expect(line.length).toBeLessThan(1100);
  });
});

describe('foreign text', () => {
  test('shows what would move, hide or reorder text', () => {
    expect(plainText('a\r\nb\u202ec\u2028')).toBe('a\\x0d\\x0ab\\u{202e}c\\u{2028}');
  });

  test('keeps letters of any script', () => {
    expect(plainText('café 雁 🦆')).toBe('café 雁 🦆');
  });

  test('is cut', () => {
    expect(plainText('abcdef', 4)).toBe('abc…');
  });
});
