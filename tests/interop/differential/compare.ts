// SPDX-License-Identifier: Apache-2.0
/** Where two transcripts differ, leaf by leaf. Pure. */
import type { JsonValue } from '../../../src-main/control/json.ts';

export interface Difference {
  /** As in `steps[3].error.desc`. */
  readonly path: string;
  /** undefined: not there. */
  readonly qemu: JsonValue | undefined;
  readonly godwit: JsonValue | undefined;
}

export function compare(qemu: JsonValue | undefined, godwit: JsonValue | undefined, path = ''): Difference[] {
  if (isMap(qemu) && isMap(godwit)) {
    const names = new Set([...Object.keys(qemu), ...Object.keys(godwit)]);
    return [...names].flatMap((name) => compare(qemu[name], godwit[name], path === '' ? name : `${path}.${name}`));
  }
  if (path.startsWith('events.')) return sameText(qemu, godwit) ? [] : [{ path, qemu, godwit }];
  if (Array.isArray(qemu) && Array.isArray(godwit)) {
    const length = Math.max(qemu.length, godwit.length);
    return Array.from({ length }, (_, index) =>
      compare(qemu[index] as JsonValue | undefined, godwit[index] as JsonValue | undefined, `${path}[${index}]`),
    ).flat();
  }
  return qemu === godwit ? [] : [{ path, qemu, godwit }];
}

function isMap(value: JsonValue | undefined): value is Record<string, JsonValue> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A sequence of events is one thing: one that is missing would else make all that follow differ. */
const sameText = (one: JsonValue | undefined, other: JsonValue | undefined): boolean =>
  JSON.stringify(one) === JSON.stringify(other);
