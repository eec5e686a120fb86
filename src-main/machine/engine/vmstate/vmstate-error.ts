// SPDX-License-Identifier: Apache-2.0
/**
 * Why device state was refused:
 * `TRUNCATED` the stream ended inside a section, `VERSION` a version this table does not cover, `SUBSECTION` an unknown,
 * repeated or unreadable subsection, `INVALID` values that no machine can have, `TRAILING` bytes left over after a
 * section, `RANGE` a value to be saved that does not fit its field.
 */
export type VmstateErrorCode = 'TRUNCATED' | 'VERSION' | 'SUBSECTION' | 'INVALID' | 'TRAILING' | 'RANGE';

/** Device state that cannot be saved or loaded. The message is a sentence that names section and field. */
export class VmstateError extends Error {
  readonly code: VmstateErrorCode;
  /** Name of the section's table, `cpu`. */
  readonly section: string;
  /** Field or subsection at fault; empty when it is the section as a whole. */
  readonly field: string;

  constructor(code: VmstateErrorCode, section: string, field: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'VmstateError';
    this.code = code;
    this.section = section;
    this.field = field;
  }
}
