// SPDX-License-Identifier: Apache-2.0
// godwit(1), in roff with the man macros.
import {
  allCommands,
  type DocumentedCommand,
  type DocumentedOption,
  type DocumentedProgram,
} from './documented-program.ts';
import { aroundTheCommands } from './man-page-text.ts';
import { bold, escape, italic, paragraph, section, tagged } from './roff.ts';

/** The whole page. */
export function manPage(program: DocumentedProgram): string {
  const { environment, examples, exitStatus, files, intro, seeAlso } = aroundTheCommands;
  return [
    '.\\" SPDX-License-Identifier: Apache-2.0',
    '.\\" Made by scripts/manual from the program itself.',
    `.TH GODWIT 1 "" "Godwit ${escape(program.version)}" "User Commands"`,
    section('NAME'),
    'godwit \\- move running virtual machines',
    section('SYNOPSIS'),
    // Ragged, and no word divided: it is to be copied.
    '.nh',
    '.ad l',
    synopsis(program),
    section('DESCRIPTION'),
    ...intro.map(paragraph),
    section('OPTIONS'),
    ...program.options.map(describeOption),
    section('COMMANDS'),
    ...allCommands(program).slice(1).map(describeCommand),
    section('EXIT STATUS'),
    ...exitStatus.map(([code, meaning]) => tagged(bold(code), escape(meaning))),
    section('ENVIRONMENT'),
    ...environment.map(([name, meaning]) => tagged(bold(name), escape(meaning))),
    section('FILES'),
    ...files.map(([name, meaning]) => tagged(italic(name), escape(meaning))),
    section('EXAMPLES'),
    ...examples.map(([command, meaning]) => `${paragraph(meaning)}\n.PP\n.RS 4\n.nf\n${escape(command)}\n.fi\n.RE`),
    section('SEE ALSO'),
    seeAlso.map(([name, chapter]) => `${bold(name)}(${chapter})`).join(',\n'),
    '',
  ].join('\n');
}

function synopsis(program: DocumentedProgram): string {
  const lines = allCommands(program)
    .filter(({ commands, path }) => path.length === 0 || commands.length === 0)
    .map((command) => usage(command));
  return lines.join('\n.br\n');
}

function usage({ path, options, arguments: args, commands }: DocumentedCommand): string {
  const needed = options.filter(({ required }) => required).map(optionUsage);
  const optional = options.some(({ required, names }) => !required && !names.includes('--help'));
  return [
    bold(['godwit', ...path].join(' ')),
    ...needed,
    ...(optional ? [`[${italic('option')}]\\&...`] : []),
    ...args.map(({ name, required, variadic }) => {
      const text = `${italic(name)}${variadic ? '\\&...' : ''}`;
      return required ? text : `[${text}]`;
    }),
    ...(path.length === 0 && commands.length > 0 ? [`[${italic('command')}]`] : []),
  ].join(' ');
}

function describeCommand(command: DocumentedCommand): string {
  const options = command.options.filter(({ names }) => !names.includes('--help'));
  return [
    `.SS ${usage(command)}`,
    escape(sentence(command.description)),
    ...command.arguments
      .filter(({ description }) => description !== '')
      .map(({ name, description }) => tagged(italic(name), escape(sentence(description)))),
    ...options.map(describeOption),
  ].join('\n');
}

function describeOption(option: DocumentedOption): string {
  const { defaultValue, description, repeatable, required } = option;
  const also = [
    ...(required ? [' (needed)'] : []),
    ...(defaultValue === null ? [] : [` (default: ${defaultValue})`]),
    // Most descriptions say it themselves.
    ...(repeatable && !/repeated|again|twice/.test(description) ? ['; may be repeated'] : []),
  ];
  // As in the program's own help: many begin with a word of the command line, which has no capital.
  return tagged(optionUsage(option), escape(`${description}${also.join('')}`));
}

function optionUsage({ names, value }: DocumentedOption): string {
  const flags = names.map(bold).join(', ');
  return value === null ? flags : `${flags} ${italic(value)}`;
}

/** Descriptions are written for a list: without a capital and a full stop. */
const sentence = (text: string): string =>
  text === '' ? '' : `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}${/[.…]$/.test(text) ? '' : '.'}`;
