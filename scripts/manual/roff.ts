// SPDX-License-Identifier: Apache-2.0
// What of roff the manual needs.

/** Text that roff is to print as it is, in one line. */
export function escape(text: string): string {
  return (
    text
      .replaceAll('\\', '\\e')
      // A plain hyphen may be printed as a typographic one, which no shell takes when it is copied.
      .replaceAll('-', '\\-')
      .replaceAll("'", '\\(aq')
      .replaceAll('`', '\\(ga')
      .replaceAll('^', '\\(ha')
      .replaceAll('~', '\\(ti')
      .replaceAll('…', '...')
      .replaceAll('→', '\\(->')
      // At the beginning of a line these two would make it a request.
      .replace(/^([.'])/gm, '\\&$1')
  );
}

export const bold = (text: string): string => `\\fB${escape(text)}\\fR`;

export const italic = (text: string): string => `\\fI${escape(text)}\\fR`;

export const section = (name: string): string => `.SH ${name}`;

export const paragraph = (text: string): string => `.PP\n${escape(text)}`;

/** An entry of a list: the term, then what it means. Both are roff already. */
export const tagged = (term: string, text: string): string => `.TP\n${term}\n${text}`;
