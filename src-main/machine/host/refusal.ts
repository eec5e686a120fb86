// SPDX-License-Identifier: Apache-2.0

/** A command that cannot be carried out now, or as asked: QMP answers GenericError with the message. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code = 'refused';
}
