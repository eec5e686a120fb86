// SPDX-License-Identifier: Apache-2.0
/** The text of a JSON string token: escapes and UTF-8, with QMP's strictness. */

/** The string is not one; the message completes `JSON parse error, …`. */
export class StringTokenError extends Error {
  override readonly name = 'StringTokenError';
  readonly code = 'JSON_STRING';
}

const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["'", "'"],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** The two-byte form of U+0000, which QEMU takes, although UTF-8 has a shorter one. */
const LONG_ZERO = /\xc0\x80/gu;

/**
 * Decodes a string token, quotes included, whose characters are bytes. Throws {@link StringTokenError} for an unknown
 * escape, an unpaired surrogate, bytes that are not UTF-8, and code points that are no characters.
 */
export function decodeStringToken(token: string): string {
  const body = token.slice(1, -1);
  if (/^[^\\\x80-\xff]*$/u.test(body)) return body;
  let text = '';
  let at = 0;
  while (at < body.length) {
    const backslash = body.indexOf('\\', at);
    if (backslash < 0) return text + decodeUtf8(body.slice(at));
    text += decodeUtf8(body.slice(at, backslash));
    const escape = decodeEscape(token, backslash + 1);
    text += escape.text;
    at = backslash + escape.length;
  }
  return text;
}

/** `at` is where the backslash stands in the token; the closing quote may be part of a broken `\u` and of its sentence. */
function decodeEscape(token: string, at: number): { readonly text: string; readonly length: number } {
  const letter = token.charAt(at + 1);
  if (letter !== 'u') {
    const text = SIMPLE_ESCAPES.get(letter);
    if (text === undefined) throw new StringTokenError('invalid escape sequence in string');
    return { text, length: 2 };
  }
  const unit = hexUnit(token, at);
  if (unit === undefined) throw notACharacter(token.slice(at, at + 6));
  if (unit < 0xd800 || unit > 0xdfff) return { text: codePoint(unit, token.slice(at, at + 6)), length: 6 };
  const low = hexUnit(token, at + 6);
  if (unit > 0xdbff || low === undefined || low < 0xdc00 || low > 0xdfff) throw notACharacter(token.slice(at, at + 6));
  const pair = 0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff);
  return { text: codePoint(pair, token.slice(at, at + 12)), length: 12 };
}

function hexUnit(token: string, at: number): number | undefined {
  const match = /^\\u([0-9a-fA-F]{4})/u.exec(token.slice(at, at + 6));
  return match?.[1] === undefined ? undefined : Number.parseInt(match[1], 16);
}

function codePoint(value: number, written: string): string {
  if (isNoncharacter(value)) throw notACharacter(written);
  return String.fromCodePoint(value);
}

function notACharacter(written: string): StringTokenError {
  return new StringTokenError(`${Buffer.from(written, 'latin1').toString('utf8')} is not a valid Unicode character`);
}

function isNoncharacter(value: number): boolean {
  return (value >= 0xfdd0 && value <= 0xfdef) || (value & 0xfffe) === 0xfffe;
}

function decodeUtf8(bytes: string): string {
  const parts = bytes.split(LONG_ZERO).map((part) => {
    try {
      return UTF8.decode(Buffer.from(part, 'latin1'));
    } catch {
      throw new StringTokenError('invalid UTF-8 sequence in string');
    }
  });
  const text = parts.join('\0');
  for (const character of text) {
    if (isNoncharacter(character.codePointAt(0) ?? 0)) throw new StringTokenError('invalid UTF-8 sequence in string');
  }
  return text;
}
