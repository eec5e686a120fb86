// SPDX-License-Identifier: Apache-2.0
import { Command, CommanderError } from 'commander';
import { addBenchCommand } from './bench.ts';
import { addDemoCommand } from './demo.ts';
import { findDesktop, runDesktop } from './desktop.ts';
import { addDoctorCommand } from './doctor.ts';
import { failureOf } from './failure-line.ts';
import { addHistoryCommand } from './history.ts';
import { addInspectCommand } from './inspect.ts';
import { exitCodes } from './io.ts';
import type { CliIo } from './io.ts';
import { addMigrateCommand } from './migrate.ts';
import { packageVersion } from './package-version.ts';
import { addServeCommand } from './serve.ts';
import { addVmCommand } from './vm.ts';

/** Adds one command; its action reports the exit code through `done`. */
export type AddCommand = (program: Command, io: CliIo, done: (exitCode: number) => void) => void;

const commands: readonly AddCommand[] = [
  addServeCommand,
  addDemoCommand,
  addMigrateCommand,
  addVmCommand,
  addInspectCommand,
  addDoctorCommand,
  addHistoryCommand,
  addBenchCommand,
];

/** Runs one command line (without the program's name). Answers the exit code; never rejects. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  let exitCode: number = exitCodes.done;
  const program = buildProgram(io, (code) => {
    exitCode = code;
  });
  try {
    if (argv.length === 0) return await openApp(program, io, () => exitCode);
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    // --help and --version end by exception too, with exit code 0.
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.done;
    const failure = failureOf(error);
    io.stderr.write(`godwit: ${failure.line}\n`);
    if (io.env['GODWIT_DEBUG'] === '1' && failure.stack !== undefined) io.stderr.write(`${failure.stack}\n`);
    return failure.exitCode;
  }
}

/** `godwit` alone. */
async function openApp(program: Command, io: CliIo, exitCode: () => number): Promise<number> {
  const desktop = findDesktop(io.env);
  if (typeof desktop !== 'string') return await runDesktop(desktop, io);
  io.stdout.write(`${desktop}\n`);
  await program.parseAsync(['serve', '--open'], { from: 'user' });
  return exitCode();
}

/** All commands with their options. The manual and the shell's completion are made from it. */
export function buildProgram(io: CliIo, done: (exitCode: number) => void): Command {
  const program = createProgram(io);
  for (const add of commands) add(program, io, done);
  return program;
}

function createProgram(io: CliIo): Command {
  return new Command('godwit')
    .description('Moves running virtual machines: live migration for KVM and QEMU.')
    .version(packageVersion())
    .addHelpText(
      'after',
      '\nWithout a command godwit opens the app: its window where there is a display, else in a browser.',
    )
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: () => undefined, // runCli writes the one line
    });
}
