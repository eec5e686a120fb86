// SPDX-License-Identifier: Apache-2.0
/** What a process that loads mutated streams says of each load, and what every sentence of a failure must be. */

export interface LoadLine {
  /** Of the mutation; with the seed it makes the same stream again. */
  readonly index: number;
  /** `waiting`: loaded, and the stream ended before its verdict. `cancelled`: a silent peer, closed from this side. */
  readonly outcome: 'completed' | 'failed' | 'waiting' | 'cancelled' | 'hang';
  readonly milliseconds: number;
  /** From before the machine was made to the peak. */
  readonly growthBytes: number;
  readonly code?: string;
  readonly sentence?: string;
  /** What should not be; the members below are there with it. */
  readonly fault?: string;
  readonly stream?: string;
  readonly steps?: readonly string[];
  /** Hex, around the first change. */
  readonly bytes?: string;
}

/** A foreign name in full, with the sentence around it, fits. */
const maxSentenceLength = 700;

/** Why this is not one sentence that a user can be shown; undefined where it is. */
export function sentenceFault(sentence: string): string | undefined {
  if (sentence === '' || sentence.length > maxSentenceLength) return `a sentence of ${sentence.length} characters`;
  if (/\p{C}/u.test(sentence)) return `not printable: ${JSON.stringify(sentence)}`;
  if (/internal|undefined|\[object|TypeError|RangeError| {4}at /.test(sentence)) return `not for users: ${sentence}`;
  return undefined;
}
