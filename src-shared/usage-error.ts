// SPDX-License-Identifier: Apache-2.0

/** The user asked for something that cannot be meant: bad option, bad value. The message is one sentence with a remedy. */
export class UsageError extends Error {
  readonly code = 'USAGE';
  override readonly name = 'UsageError';
}
