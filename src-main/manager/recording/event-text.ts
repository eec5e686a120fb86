// SPDX-License-Identifier: Apache-2.0
/** Events of a machine as rows of a run. Names and data are foreign text. */
import { plainText } from '../../../src-shared/plain-text.ts';
import type { RunEvent } from '../../../src-shared/run.ts';

const NAME_LENGTH = 80;
const TEXT_LENGTH = 500;

/** Events that say all by their name. */
const SENTENCES: Readonly<Record<string, string>> = {
  STOP: 'The guest stopped.',
  RESUME: 'The guest runs.',
  SHUTDOWN: 'The machine shuts down.',
};

/** `data` of an event in a line: `status completed, pass 3`. */
export function eventText(data: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(data).map(([key, value]) => `${key} ${shown(value)}`);
  return plainText(parts.join(', '), TEXT_LENGTH).slice(0, TEXT_LENGTH);
}

export function machineEvent(
  side: 'source' | 'destination',
  name: string,
  data: Readonly<Record<string, unknown>>,
  t: number,
): Omit<RunEvent, 'seq'> {
  const text = SENTENCES[name] ?? eventText(data);
  return { t, side, level: 'event', name: plainText(name, NAME_LENGTH).slice(0, NAME_LENGTH), text };
}

function shown(value: unknown): string {
  if (typeof value === 'string') return value;
  const text: unknown = JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint' ? item.toString() : item,
  );
  return typeof text === 'string' ? text : 'none'; // undefined has no JSON
}
