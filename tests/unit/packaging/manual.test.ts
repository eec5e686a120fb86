// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { allCommands, documentedProgram } from '../../../scripts/manual/documented-program.ts';
import { manPage } from '../../../scripts/manual/man-page.ts';
import { escape } from '../../../scripts/manual/roff.ts';

const program = documentedProgram();
const page = manPage(program);
const commands = allCommands(program).slice(1);
/** What a reader sees, near enough: without fonts and escapes. */
const plain = page
  .replaceAll(/\\f[BIR]/g, '')
  .replaceAll('\\-', '-')
  .replaceAll('\\&', '');

/** Lines of the page between a heading and the next. */
function part(heading: string): string {
  const lines = plain.split('\n');
  const first = lines.findIndex((line) => line === heading || line.startsWith(`${heading} `));
  expect(first, heading).toBeGreaterThan(-1);
  const length = lines.slice(first + 1).findIndex((line) => /^\.S[HS] /.test(line));
  return lines.slice(first, length < 0 ? undefined : first + 1 + length).join('\n');
}

describe('the manual', () => {
  it('has the sections of a command, in their order', () => {
    const names = plain.split('\n').flatMap((line) => /^\.SH (.+)/.exec(line)?.[1] ?? []);
    expect(names).toEqual([
      ...['NAME', 'SYNOPSIS', 'DESCRIPTION', 'OPTIONS', 'COMMANDS', 'EXIT STATUS', 'ENVIRONMENT', 'FILES'],
      ...['EXAMPLES', 'SEE ALSO'],
    ]);
  });

  it('knows the program: there are commands in it', () => {
    expect(commands.map(({ path }) => path.join(' '))).toEqual(
      expect.arrayContaining(['serve', 'demo', 'migrate', 'vm', 'inspect', 'doctor', 'history', 'history show']),
    );
  });

  it.each(commands.map((command) => [`godwit ${command.path.join(' ')}`, command] as const))(
    'describes every option and argument of %s',
    (name, { arguments: args, options }) => {
      const text = part(`.SS ${name}`);
      for (const { names, value, description } of options) {
        if (names.includes('--help')) continue; // said once, for all
        expect(text).toContain(`\n.TP\n${names.join(', ')}${value === null ? '' : ` ${value}`}\n`);
        expect(text).toContain(description.replaceAll("'", '\\(aq').replaceAll('`', '\\(ga').replaceAll('…', '...'));
      }
      for (const argument of args) expect(text.split('\n')[0]).toContain(argument.name);
    },
  );

  it('says what the exit codes mean', () => {
    const codes = [...part('.SH EXIT STATUS').matchAll(/\.TP\n(\d)\n/g)].map(([, code]) => code);
    expect(codes).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  it('says where files are and which variables count', () => {
    for (const name of ['GODWIT_HOME', 'XDG_DATA_HOME', 'XDG_CONFIG_HOME', 'XDG_RUNTIME_DIR']) {
      expect(part('.SH ENVIRONMENT')).toContain(`\n${name}\n`);
    }
    expect(part('.SH FILES')).toContain('godwit.db');
  });

  it('shows commands that the program has, with options that they have', () => {
    const examples = part('.SH EXAMPLES').match(/\bgodwit (?!history --json)[a-z]+.*/g) ?? [];
    expect(examples.length).toBeGreaterThan(5);
    for (const example of examples) {
      const command = commands.find(({ path }) => example.startsWith(`godwit ${path.join(' ')}`));
      expect(command, example).toBeDefined();
      const known = command!.options.flatMap(({ names }) => names);
      if (command!.commands.length > 0) continue;
      expect(known, example).toEqual(expect.arrayContaining(example.match(/--[a-z-]+/g) ?? []));
    }
  });

  it('begins no line with what roff would take for a request of its own', () => {
    const requests = page.split('\n').filter((line) => /^[.']/.test(line));
    expect(requests.filter((line) => !/^\.(\\"|TH|SH|SS|TP|PP|RS|RE|nf|fi|nh|ad|br)/.test(line))).toEqual([]);
    expect(escape(".hidden\n'quoted")).toBe('\\&.hidden\n\\(aqquoted');
    expect(escape('a\\b-c')).toBe('a\\eb\\-c');
  });

  it('is quiet in groff', ({ skip }) => {
    const isMissing = spawnSync('groff', ['--version']).error !== undefined;
    // It is no reason to install one.
    if (isMissing) skip('groff is not installed (sudo apt install groff)');
    const { status, stderr } = spawnSync('groff', ['-ww', '-man', '-Tutf8', '-z'], { input: page, encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });
});
