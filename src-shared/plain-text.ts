// SPDX-License-Identifier: Apache-2.0

// C0, DEL and C1 controls, line and paragraph separators, and the marks that reorder what a reader sees.
// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Foreign text (a guest's serial output, a peer's error) as one printable line: control characters become `\xNN` or
 * `\u{N}`, and what exceeds `maxLength` characters is cut with an ellipsis.
 */
export function plainText(foreign: string, maxLength = 500): string {
  const shortened = foreign.length > maxLength ? `${foreign.slice(0, maxLength - 1)}…` : foreign;
  return shortened.replace(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}
