// SPDX-License-Identifier: Apache-2.0
/** Why a run ended, as a sentence for users. */
import { plainText } from '../../../src-shared/plain-text.ts';
import { QmpConnectionError } from '../../control/client.ts';

const MAX_LENGTH = 1000;

/** The process that has the guest is gone, and the guest with it unless the destination has it. */
export class SourceLostError extends Error {
  override readonly name = 'SourceLostError';
  readonly code = 'SOURCE_LOST';

  constructor(lastWords: string) {
    super(`The source's process has ended${lastWords === '' ? '' : `: ${lastWords}`}`);
  }
}

export function reasonOf(error: unknown): string {
  if (error instanceof QmpConnectionError) return 'An end does not answer on its control connection any more.';
  return plainText(error instanceof Error ? error.message : String(error), MAX_LENGTH);
}

/** As a sentence that another one follows. */
export const withStop = (text: string | null): string => (text ?? 'No reason was given').replace(/\.?$/, '.');
