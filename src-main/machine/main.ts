// SPDX-License-Identifier: Apache-2.0
/** Entry of one machine process, whatever runs it: a child, an Electron utility process. Ready is one line of JSON on stdout; the last words are one line on stderr. */
import { Command, CommanderError } from 'commander';
import { plainText } from '../../src-shared/plain-text.ts';
import { UsageError } from '../../src-shared/usage-error.ts';
import { defineMachineOptions, parseMachineOptions } from './host/options.ts';
import type { MachineOptionTexts } from './host/options.ts';
import { endWithParent } from './host/parent-watch.ts';

async function probe(): Promise<number> {
  const { probeReport } = await import('./host/probe.ts');
  process.stdout.write(`${JSON.stringify(probeReport())}\n`);
  return 0;
}

async function run(texts: MachineOptionTexts): Promise<number> {
  const options = parseMachineOptions(texts);
  endWithParent();
  const { runMachine } = await import('./host/host.ts');
  return runMachine(options);
}

async function main(): Promise<number> {
  const command = defineMachineOptions(new Command('machine'))
    .option('--probe', 'print what this machine can do as JSON, and end')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  // Said, not guessed: inside Electron commander would look for the arguments elsewhere.
  command.parse(process.argv.slice(2), { from: 'user' });
  const texts = command.opts<MachineOptionTexts & { probe?: boolean }>();
  return texts.probe === true ? probe() : run(texts);
}

/** One line; the stack only for whoever asks for it. */
function lastWords(error: unknown): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  const message = error instanceof Error ? error.message : String(error);
  const [sentence = ''] = message.replace(/^error: /, '').split('\n');
  process.stderr.write(`godwit: ${plainText(sentence)}\n`);
  if (process.env['GODWIT_DEBUG'] === '1' && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
  return error instanceof CommanderError || error instanceof UsageError ? 2 : 1;
}

process.exitCode = await main().catch(lastWords);
// A utility process of Electron has no end of its own: it would wait for messages for ever.
if ('parentPort' in process) process.exit();
