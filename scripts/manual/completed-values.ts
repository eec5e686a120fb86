// SPDX-License-Identifier: Apache-2.0
// What can be completed after an option, read from the placeholder of its value: `file`, `unix:PATH`, `on|off`.

export interface CompletedValue {
  /** Words to choose from. `unix:` and its like are followed by a path. */
  readonly words: readonly string[];
  /** The value itself may be a path. */
  readonly files: boolean;
}

/** Placeholders that do not say what they are. */
const KNOWN: Readonly<Record<string, string>> = {
  QMP: 'unix:PATH',
  URI: 'unix:PATH|tcp:|file:PATH',
  uri: 'unix:PATH|tcp:',
  'defer|URI': 'defer|unix:PATH|tcp:|file:PATH',
  'NAME|FILE': 'gentle|balanced|must-finish|FILE',
  'FILE@ADDR': 'FILE',
};

export function completedValue(placeholder: string): CompletedValue {
  const parts = (KNOWN[placeholder] ?? placeholder).split('|');
  const isFile = (part: string): boolean => /^(?:file|path)$/i.test(part);
  return {
    words: parts.filter((part) => parts.length > 1 || part.includes(':')).flatMap(wordOf),
    files: parts.some(isFile),
  };
}

/** What may stand for itself: capitals are put in by the user. */
function wordOf(part: string): string[] {
  const prefix = /^([a-z]+:)/.exec(part)?.[1];
  if (prefix !== undefined) return [prefix];
  return /^[a-z0-9-]+$/.test(part) && part !== 'file' ? [part] : [];
}
