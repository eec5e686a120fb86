// SPDX-License-Identifier: Apache-2.0
import type { CALL_ERROR_CODES, CallErrorData } from './contract.ts';

/** A call of the contract that ended badly; the message is for users. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: (typeof CALL_ERROR_CODES)[number];

  constructor(code: CallError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** As it crosses a process border. */
  toData(): CallErrorData {
    return { code: this.code, message: this.message };
  }
}
