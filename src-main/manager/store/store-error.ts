// SPDX-License-Identifier: Apache-2.0

/**
 * - `LOCKED`: another process holds the file for longer than was waited
 * - `READ_ONLY`: the file or its folder cannot be written
 * - `NEWER`: a newer Godwit wrote it
 * - `CORRUPT`: it is damaged, or no database at all
 * - `FULL`: no room for what was to be written; what was there is untouched
 * - `NOT_FOUND`: no such row
 * - `EXISTS`: a row with that id or name is there
 * - `INVALID`: what was to be written is not of its schema
 * - `CLOSED`: used after close(), or its thread ended
 * - `FAILED`: anything else (input/output error, …)
 */
export type StoreErrorCode =
  'LOCKED' | 'READ_ONLY' | 'NEWER' | 'CORRUPT' | 'FULL' | 'NOT_FOUND' | 'EXISTS' | 'INVALID' | 'CLOSED' | 'FAILED';

/** The store could not do it. The message is one sentence for users, with the file and the remedy. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
