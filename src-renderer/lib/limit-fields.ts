// SPDX-License-Identifier: Apache-2.0
/** Limits as users type them. Pure. */
import { parseSize } from '../../src-shared/sizes.ts';

export interface FieldValue {
  readonly value: number;
  /** Empty where the text is fine. */
  readonly error: string;
}

/** What the contract takes. */
export const MAX_DOWNTIME_MS = 2_000_000;

/** Bytes a second; 0: no limit. */
export function parseBandwidth(text: string): FieldValue {
  const bytes = parseSize(text.trim().replace(/\/s$/iu, ''));
  if (bytes === undefined)
    return { value: 0, error: `“${text}” is not a bandwidth: write it as 64M, or 0 for no limit.` };
  if (bytes > 0 && bytes < 64 * 1024)
    return { value: bytes, error: 'That is less than 64 KiB a second: did you leave out the M?' };
  return { value: bytes, error: '' };
}

export function parseMilliseconds(text: string): FieldValue {
  const value = /^\d{1,7}$/u.test(text.trim()) ? Number(text) : Number.NaN;
  if (value <= MAX_DOWNTIME_MS) return { value, error: '' };
  return { value: 0, error: `“${text}” is not a whole number of milliseconds from 0 to ${MAX_DOWNTIME_MS}.` };
}
