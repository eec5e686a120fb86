// SPDX-License-Identifier: Apache-2.0
import { plainText } from '../../../src-shared/plain-text.ts';
import { VmstateError } from './vmstate/vmstate-error.ts';

/** Why a migration ended without success. */
export type MigrationErrorCode =
  /** The connection could not be made, or broke. */
  | 'link'
  /** The peer sent something that is not a migration stream, or not one for this machine. */
  | 'stream'
  /** The peer reported a failure of its own. */
  | 'peer'
  /** All of the guest was given to a command, which then failed. */
  | 'not-taken'
  /** The user, or the end of the process, cancelled. */
  | 'cancelled'
  /** The machine cannot do it: a mechanism, a capability, an address that is not there. */
  | 'unsupported'
  /** This machine failed: KVM, memory, a device. */
  | 'machine';

/** A migration failure: one sentence that names the thing. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
  readonly code: MigrationErrorCode;

  constructor(code: MigrationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The message of whatever was thrown, for a sentence that a user reads. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a native or Node error, where it has one. */
export function codeOf(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}

/** Whatever kept a guest from being loaded, as a migration error. */
export function asLoadError(error: unknown): MigrationError {
  if (error instanceof MigrationError) return error;
  const code = codeOf(error);
  if (code === 'EOF')
    return new MigrationError('link', 'The source closed the connection before the guest was complete', {
      cause: error,
    });
  const sentence = plainText(messageOf(error));
  if (code === 'EPROTO' || error instanceof VmstateError)
    return new MigrationError('stream', sentence, { cause: error });
  return new MigrationError(code === undefined ? 'machine' : 'link', sentence, { cause: error });
}
