// SPDX-License-Identifier: Apache-2.0
/**
 * Whether what came over IPC is what JSON could say, and not too much of it. Electron clones far more than that (maps,
 * typed arrays, errors, cycles), and schemas would only see it when it is walked.
 */

/** As over HTTP. */
const MOST_BYTES = 1024 ** 2;
const DEEPEST = 32;
/** Of a number, a punctuation mark, a quote. */
const BYTES_OF_SMALL = 8;

/** Why it is refused, as a sentence; null where it may pass. */
export function refusedInput(value: unknown): string | null {
  const left = { bytes: MOST_BYTES };
  return walk(value, 0, left);
}

function walk(value: unknown, depth: number, left: { bytes: number }): string | null {
  if (depth > DEEPEST) return 'The input is nested too deeply.';
  left.bytes -= BYTES_OF_SMALL;
  switch (typeof value) {
    case 'string':
      left.bytes -= value.length;
      break;
    case 'object':
      return value === null ? null : walkObject(value, depth, left);
    case 'number':
    case 'boolean':
    case 'undefined':
      break;
    case 'bigint':
    case 'symbol':
    case 'function':
      return 'The input is not plain data.';
  }
  return left.bytes < 0 ? 'The input is too large.' : null;
}

function walkObject(value: object, depth: number, left: { bytes: number }): string | null {
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
  if (!isPlain) return 'The input is not plain data.';
  // A long array of nothing costs no walk, so its length counts first.
  if (Array.isArray(value) && value.length > left.bytes / BYTES_OF_SMALL) return 'The input is too large.';
  for (const [key, member] of Object.entries(value)) {
    left.bytes -= key.length;
    const refused = walk(member, depth + 1, left);
    if (refused !== null) return refused;
    if (left.bytes < 0) return 'The input is too large.';
  }
  return null;
}
