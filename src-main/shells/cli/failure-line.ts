// SPDX-License-Identifier: Apache-2.0
import { CommanderError } from 'commander';
import { plainText } from '../../../src-shared/plain-text.ts';
import { UsageError } from '../../../src-shared/usage-error.ts';
import { DemoError } from '../../manager/demo.ts';
import { PairError } from '../../manager/pair/types.ts';
import { exitCodes } from './io.ts';

/** What a failed command prints and how it exits. */
export interface Failure {
  readonly exitCode: number;
  /** One line for stderr, without the `godwit: ` before it. */
  readonly line: string;
  /** For GODWIT_DEBUG=1 only. */
  readonly stack: string | undefined;
}

/** Expected errors carry a `code` and a sentence. Anything else is a fault of Godwit, and the line says how to see it. */
export function failureOf(error: unknown): Failure {
  const stack = error instanceof Error ? error.stack : undefined;
  if (error instanceof CommanderError) return { exitCode: exitCodes.usage, line: usageSentence(error.message), stack };
  const message = plainText(oneLine(error instanceof Error ? error.message : String(error)), 1000);
  if (error instanceof UsageError) return { exitCode: exitCodes.usage, line: message, stack };
  if (error instanceof DemoError || error instanceof PairError) {
    return { exitCode: migrationExitCode(error), line: message, stack };
  }
  const expected = error instanceof Error && 'code' in error && typeof error.code === 'string';
  if (expected) return { exitCode: exitCodes.error, line: message, stack };
  return { exitCode: exitCodes.error, line: `unexpected error: ${message} (set GODWIT_DEBUG=1 to see where)`, stack };
}

function migrationExitCode(error: DemoError | PairError): number {
  switch (error.code) {
    case 'BLOCKED':
      return exitCodes.blocked;
    case 'FAILED':
      return exitCodes.failed;
    case 'CANCELLED':
      return exitCodes.cancelled;
  }
}

/** `error: unknown option '--x'\n(Did you mean --y?)` as one line that ends with the way out. */
function usageSentence(message: string): string {
  return `${plainText(oneLine(message.replace(/^error: /, '')), 1000)} (see godwit --help)`;
}

const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, ' ');
