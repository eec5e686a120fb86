// SPDX-License-Identifier: Apache-2.0
/** The values of a device section as lines. Pure. */
import { plainText } from '../../../src-shared/plain-text.ts';
import type { FieldReport } from '../../machine/inspect/report.ts';
import { tableLines } from './text-table.ts';

/** Bytes of a buffer that a line shows. */
const SHOWN_BYTES = 16;
const TIMER_NOT_ARMED = -1n;

/** One aligned line for each value that is not 0; equal elements of an array that follow each other share one. */
export function fieldLines(fields: readonly FieldReport[]): { readonly fields: string[]; readonly omitted: number } {
  const shown = fields.filter((field) => !isZero(field.value));
  const omitted = fields.length - shown.length;
  if (shown.length === 0) return { fields: [], omitted };
  const rows = runsOf(shown).map(([first, last]) => [pathOf(first, last), first.type, valueText(first)]);
  const columns = ['', '', ''].map((title) => ({ title, align: 'left' }) as const);
  return {
    fields: tableLines(
      columns,
      rows.map((cells) => cells.map((cell) => plainText(cell, 255))),
    ).slice(1),
    omitted,
  };
}

function isZero(value: FieldReport['value']): boolean {
  return value instanceof Uint8Array ? value.every((byte) => byte === 0) : !value;
}

interface ArrayElement {
  readonly array: string;
  readonly index: number;
}

/** `env.mce_banks[3]` as an array and an index. */
function elementOf({ path }: FieldReport): ArrayElement | undefined {
  const [, array, index] = /^(.*)\[(\d+)\]$/s.exec(path) ?? [];
  return array === undefined ? undefined : { array, index: Number(index) };
}

/** First and last of each run of neighbours in one array with the same value. */
function runsOf(fields: readonly FieldReport[]): [FieldReport, FieldReport][] {
  const runs: [FieldReport, FieldReport][] = [];
  for (const field of fields) {
    const run = runs.at(-1);
    if (run !== undefined && continues(run[1], field)) run[1] = field;
    else runs.push([field, field]);
  }
  return runs;
}

function continues(before: FieldReport, field: FieldReport): boolean {
  const [a, b] = [elementOf(before), elementOf(field)];
  if (a === undefined || b?.array !== a.array || b.index !== a.index + 1) return false;
  return before.type === field.type && before.value === field.value;
}

function pathOf(first: FieldReport, last: FieldReport): string {
  return first === last ? first.path : `${first.path.slice(0, -1)}–${String(elementOf(last)?.index)}]`;
}

/** Unsigned numbers are registers, addresses and counts: both notations. Text in buffers is shown as text, too. */
function valueText({ type, value }: FieldReport): string {
  if (value instanceof Uint8Array) return bytesText(value);
  if (typeof value === 'boolean') return String(value);
  if (type === 'timer') return value === TIMER_NOT_ARMED ? 'not armed' : `${String(value)} ns`;
  return type.startsWith('uint') && value > 9 ? `0x${value.toString(16)} (${String(value)})` : String(value);
}

function bytesText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.subarray(0, SHOWN_BYTES)).toString('hex');
  const more = bytes.length > SHOWN_BYTES ? `… (${String(bytes.length)} bytes)` : '';
  const [text = ''] = Buffer.from(bytes).toString('latin1').split('\0');
  return /^[\x20-\x7e]{2,}$/.test(text) ? `'${text}'` : `${hex}${more}`;
}
