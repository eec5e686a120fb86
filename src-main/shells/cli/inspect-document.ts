// SPDX-License-Identifier: Apache-2.0
import type { JsonValue } from '../../control/json.ts';
import type { FieldReport, InspectReport } from '../../machine/inspect/report.ts';

/** Bytes of a buffer that the document holds. */
const MAX_BUFFER = 4096;

/** The report as JSON: 64-bit values as decimal text, since many readers have no such numbers, buffers as hexadecimal. */
export function inspectDocument(report: InspectReport): JsonValue {
  const sections = report.sections.map(({ payload, ...section }) => ({
    ...section,
    ...(payload !== undefined && { payload: { ...payload, fields: payload.fields.map(fieldDocument) } }),
  }));
  // Plain data: interfaces just have no index signature.
  return { ...report, sections } as unknown as JsonValue;
}

function fieldDocument({ value, ...field }: FieldReport): JsonValue {
  if (typeof value === 'bigint') return { ...field, value: value.toString() };
  if (!(value instanceof Uint8Array)) return { ...field, value };
  const shown = Buffer.from(value.subarray(0, MAX_BUFFER)).toString('hex');
  return { ...field, value: shown, ...(value.length > MAX_BUFFER && { truncated: true }) };
}
