// SPDX-License-Identifier: Apache-2.0
/** `POST /api/call/<name>`: a call of the contract as a request. */
import { CallError } from '../../../src-shared/call-error.ts';
import type { CallErrorData } from '../../../src-shared/contract.ts';
import type { Manager } from '../../manager/manager.ts';

const STATUS: Readonly<Record<CallErrorData['code'], number>> = {
  invalid: 400,
  'not-found': 404,
  refused: 409,
  failed: 502,
  unavailable: 503,
};

export interface Answer {
  readonly status: number;
  readonly body: { readonly output: unknown } | { readonly error: CallErrorData };
}

/** Performs it. `body` is whatever came; never rejects. Listening begins before the manager is there: a call waits. */
export async function answerCall(manager: Promise<Manager>, name: string, body: unknown): Promise<Answer> {
  try {
    if (!isCallBody(body)) throw new CallError('invalid', 'A call is an object with the member "input".');
    return { status: 200, body: { output: await (await manager).call(name, body.input) } };
  } catch (error) {
    const known =
      error instanceof CallError ? error : new CallError('unavailable', 'Godwit could not start or answer.');
    return { status: STATUS[known.code], body: { error: known.toData() } };
  }
}

function isCallBody(body: unknown): body is { readonly input: unknown } {
  return typeof body === 'object' && body !== null && Object.hasOwn(body, 'input');
}
