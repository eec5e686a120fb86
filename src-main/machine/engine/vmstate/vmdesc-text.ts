// SPDX-License-Identifier: Apache-2.0
import type { VmdescDevice, VmdescTable } from './describe.ts';

/**
 * The JSON text after the end mark of a stream, as QEMU spaces it (`", "` and `": "`, no newline, no NUL).
 *
 * @param configuration description of the configuration section, which newer releases put in front
 */
export function vmdescText(
  pageSizeBytes: number,
  devices: readonly VmdescDevice[],
  configuration?: VmdescTable,
): string {
  return jsonText({ ...(configuration && { configuration }), page_size: pageSizeBytes, devices });
}

/** How releases from 8.2 describe the configuration section of a machine that has no subsections in it. */
export function describeConfiguration(machineName: string): VmdescTable {
  return {
    vmsd_name: 'configuration',
    version: 1,
    fields: [
      { name: 'len', type: 'uint32', size: 4 },
      { name: 'name', type: 'buffer', size: Buffer.byteLength(machineName) },
    ],
  };
}

/** JSON with a space after each comma and colon. */
function jsonText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jsonText).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}: ${jsonText(member)}`).join(', ')}}`;
  }
  return JSON.stringify(value);
}
