// SPDX-License-Identifier: Apache-2.0
/** What differs between any two runs is replaced by a word; everything else has to be the same. Pure. */
import type { JsonValue } from '../../../src-main/control/json.ts';

/** Members whose numbers depend on the run. Their being there, and being numbers, is compared. */
const COUNTED = new Set([
  'transferred',
  'remaining',
  'duplicate',
  'normal',
  'normal-bytes',
  'dirty-pages-rate',
  'mbps',
  'dirty-sync-count',
  'pages-per-second',
  'precopy-bytes',
  'downtime-bytes',
  'setup-time',
  'total-time',
  'expected-downtime',
  'downtime',
  'start-time',
  'thread-id',
  'dirty-rate',
]);

export type Words = readonly (readonly [text: string, word: string])[];

/** `words`: texts of this run (paths, ports) with what stands for them. */
export function normalise(value: JsonValue, words: Words): JsonValue {
  if (typeof value === 'string') return words.reduce((text, [from, to]) => text.replaceAll(from, to), value);
  if (Array.isArray(value)) return value.map((item) => normalise(item as JsonValue, words));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      COUNTED.has(name) && (typeof member === 'number' || typeof member === 'bigint')
        ? '<number>'
        : normalise(member as JsonValue, words),
    ]),
  );
}
