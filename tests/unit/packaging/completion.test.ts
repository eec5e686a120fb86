// SPDX-License-Identifier: Apache-2.0
/** The completion in a real bash. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bashCompletion } from '../../../scripts/manual/bash-completion.ts';
import { completedValue } from '../../../scripts/manual/completed-values.ts';
import { allCommands, documentedProgram } from '../../../scripts/manual/documented-program.ts';

const program = documentedProgram();
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-completion-'));
  writeFileSync(join(folder, 'godwit.bash'), bashCompletion(program));
  for (const name of ['cert.pem', 'key.pem', 'a.sock']) writeFileSync(join(folder, name), '');
  mkdirSync(join(folder, 'certs'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** What bash would offer at the end of the line; it divides words at spaces, and at : and = by themselves. */
function complete(line: string): string[] {
  const words = line.split(/\s+/).flatMap((word) => (word === '' ? [''] : word.split(/([:=])/).filter(Boolean)));
  if (/[:=]$/.test(line)) words.push('');
  const script = `
    source ./godwit.bash
    COMP_LINE=$1 COMP_POINT=\${#1} COMP_WORDS=("\${@:2}") COMP_CWORD=$(($# - 2))
    _godwit
    [[ \${#COMPREPLY[@]} -eq 0 ]] || printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-uc', script, 'bash', line, ...words], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((choice) => choice !== '');
}

describe('the completion', () => {
  it('is known to bash as what completes godwit', () => {
    const { stdout } = spawnSync('bash', ['-c', 'source ./godwit.bash; complete -p godwit'], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(stdout).toBe('complete -F _godwit godwit\n');
  });

  it('offers the commands, and options only when asked for', () => {
    const commands = program.commands.map(({ path }) => path[0]);
    expect(complete('godwit ')).toEqual([...commands, 'help']);
    expect(complete('godwit -')).toEqual(['-V', '--version', '-h', '--help']);
    expect(complete('godwit de')).toEqual(['demo']);
    expect(complete('godwit help mi')).toEqual(['migrate']);
  });

  it.each(allCommands(program).map((command) => [['godwit', ...command.path].join(' '), command] as const))(
    'offers all of %s',
    (name, { commands, options }) => {
      expect(complete(`${name} -`)).toEqual(options.flatMap(({ names }) => names));
      expect(complete(`${name} `)).toEqual(expect.arrayContaining(commands.map(({ path }) => path.at(-1))));
    },
  );

  it('goes on after options and their values', () => {
    expect(complete('godwit demo --memory 64M --js')).toEqual(['--json']);
    expect(complete('godwit demo --json --mem')).toEqual(['--memory']);
    // A value that is spelled as a command is none.
    expect(complete('godwit vm --name history --pa')).toEqual(['--paused']);
    expect(complete('godwit history show --j')).toEqual(['--json']);
  });

  it('offers nothing where only the user knows', () => {
    expect(complete('godwit demo --memory ')).toEqual([]);
    expect(complete('godwit history show ')).toEqual([]);
    expect(complete('godwit nonsense ')).not.toContain('--json');
  });

  it('offers files where an option or a command takes one', () => {
    expect(complete('godwit serve --tls-cert c').sort()).toEqual(['cert.pem', 'certs']);
    expect(complete('godwit serve --tls-cert=ce').sort()).toEqual(['cert.pem', 'certs']);
    expect(complete('godwit inspect k')).toEqual(['key.pem']);
    expect(complete('godwit demo k')).toEqual([]);
  });

  it('offers the words that a value can be, and files beside them', () => {
    expect(complete('godwit migrate --profile ')).toEqual(expect.arrayContaining(['gentle', 'balanced', 'key.pem']));
    expect(complete('godwit migrate --profile must')).toEqual(['must-finish']);
    expect(complete('godwit vm --incoming ')).toEqual(['defer', 'unix:', 'tcp:', 'file:']);
    expect(complete('godwit vm --x-godwit-send-configuration o')).toEqual(['on', 'off']);
  });

  it('completes the path after unix: as bash divides it', () => {
    expect(complete('godwit migrate --from un')).toEqual(['unix:']);
    // Bash replaces what follows the colon only.
    expect(complete('godwit migrate --from unix:a')).toEqual(['a.sock']);
    expect(complete('godwit migrate --from unix:').sort()).toContain('a.sock');
    expect(complete('godwit migrate --uri=unix:a')).toEqual(['a.sock']);
    expect(complete('godwit migrate --uri tcp:a')).toEqual([]);
  });
});

describe('a value', () => {
  it.each([
    ['file', { words: [], files: true }],
    ['unix:PATH', { words: ['unix:'], files: false }],
    ['on|off', { words: ['on', 'off'], files: false }],
    ['size', { words: [], files: false }],
    ['file:PATH|stdio', { words: ['file:', 'stdio'], files: false }],
    ['NAME|FILE', { words: ['gentle', 'balanced', 'must-finish'], files: true }],
  ])('written %s is completed by what it names', (placeholder, wanted) => {
    expect(completedValue(placeholder)).toEqual(wanted);
  });
});
