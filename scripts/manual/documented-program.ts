// SPDX-License-Identifier: Apache-2.0
// The command line as data, read from the program itself, so that what is written about it cannot differ from it.
import type { Argument, Command, Option } from 'commander';
import { buildProgram } from '../../src-main/shells/cli/program.ts';
import { packageVersion } from '../../src-main/shells/cli/package-version.ts';

export interface DocumentedOption {
  /** `--json`, or `-V` and `--version`. */
  readonly names: readonly string[];
  /** Placeholder of its value, such as `size`; null where it takes none. */
  readonly value: string | null;
  readonly description: string;
  readonly defaultValue: string | null;
  readonly required: boolean;
  readonly repeatable: boolean;
}

export interface DocumentedArgument {
  readonly name: string;
  readonly required: boolean;
  readonly variadic: boolean;
  readonly description: string;
}

export interface DocumentedCommand {
  /** With the names of the commands around it: `history show`. */
  readonly path: readonly string[];
  readonly description: string;
  readonly options: readonly DocumentedOption[];
  readonly arguments: readonly DocumentedArgument[];
  readonly commands: readonly DocumentedCommand[];
}

export interface DocumentedProgram extends DocumentedCommand {
  readonly version: string;
}

/** Builds the program without running it. */
export function documentedProgram(): DocumentedProgram {
  const nowhere = { write: () => undefined };
  const io = { stdout: nowhere, stderr: nowhere, env: {}, onInterrupt: () => () => undefined };
  const program = buildProgram(io, () => undefined);
  return { ...documented(program, []), version: packageVersion() };
}

/** The command and all below it, in the order of the program. */
export function allCommands(command: DocumentedCommand): readonly DocumentedCommand[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

function documented(command: Command, path: readonly string[]): DocumentedCommand {
  const help = command.createHelp();
  return {
    path,
    description: command.description(),
    options: help.visibleOptions(command).map(documentedOption),
    arguments: command.registeredArguments.map(documentedArgument),
    // `help` is commander's own: it says what --help says.
    commands: command.commands.map((child) => documented(child, [...path, child.name()])),
  };
}

function documentedOption(option: Option): DocumentedOption {
  const value = /[<[](.+)[>\]]/.exec(option.flags)?.[1] ?? null;
  const given: unknown = option.defaultValue;
  return {
    names: [option.short, option.long].filter((name) => name !== undefined),
    value: value?.replace(/\.\.\.$/, '') ?? null,
    description: option.description,
    defaultValue: typeof given === 'string' ? given : null,
    required: option.mandatory,
    // A parser that collects is how our commands take an option more than once.
    repeatable: value !== null && option.parseArg !== undefined,
  };
}

const documentedArgument = (argument: Argument): DocumentedArgument => ({
  name: argument.name(),
  required: argument.required,
  variadic: argument.variadic,
  description: argument.description,
});
