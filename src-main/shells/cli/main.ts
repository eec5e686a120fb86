// SPDX-License-Identifier: Apache-2.0
/** `godwit`: the command line. */
import process from 'node:process';
import { enableCompileCache } from 'node:module';
import type { CliIo } from './io.ts';

// A second start finds its code compiled: 0.13 s instead of 0.35.
enableCompileCache();
const { runCli } = await import('./program.ts');

const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const io: CliIo = {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  onInterrupt: (listener) => {
    for (const signal of INTERRUPTS) process.on(signal, listener);
    return () => {
      for (const signal of INTERRUPTS) process.off(signal, listener);
    };
  },
};

// A reader that went away (`godwit … | head`) ends the output, not the program: what it started is still removed.
process.stdout.on('error', () => undefined);

process.exitCode = await runCli(process.argv.slice(2), io);
