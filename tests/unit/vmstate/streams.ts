// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';

export const STREAMS = [
  'qemu7-kvm-base',
  'qemu7-kvm-virtio-legacy',
  'qemu7-kvm-virtio-modern',
  'qemu7-tcg-smp2-acpi',
  'qemu7-tcg-subsections',
  'qemu10-kvm-base',
  'linux-running-smp2-legacy-noram',
  'linux-running-smp2-modern-noram',
] as const;

export type StreamName = (typeof STREAMS)[number];

export interface CapturedSection {
  readonly name: string;
  readonly instanceId: number;
  readonly version: number;
  readonly payload: Uint8Array;
  /** The description of this section as QEMU spaced it. */
  readonly text: string;
}

interface MapEntry {
  readonly at: number;
  readonly type: string;
  readonly name?: string;
  readonly instance_id?: number;
  readonly version?: number;
  readonly body_at?: number;
  readonly body_len?: number;
  readonly len?: number;
}

/** The device sections of a captured stream, and the JSON text at its end. */
export function readStream(name: StreamName): { readonly sections: CapturedSection[]; readonly vmdesc: string } {
  const folder = new URL('../../fixtures/microvm/', import.meta.url);
  const bytes = readFileSync(new URL(`${name}.mig`, folder));
  const map = JSON.parse(readFileSync(new URL(`${name}.sections.json`, folder), 'utf8')) as MapEntry[];
  const description = map.find((entry) => entry.type === 'VMDESCRIPTION');
  if (description?.len === undefined) throw new Error(`${name} has no description`);
  const vmdesc = bytes.toString('utf8', description.at + 5, description.at + 5 + description.len);
  const sections = map.flatMap(({ type, name, instance_id, version, body_at, body_len }) => {
    if (type !== 'FULL' || name === undefined || instance_id === undefined || version === undefined) return [];
    if (body_at === undefined || body_len === undefined) return [];
    const payload = new Uint8Array(bytes.subarray(body_at, body_at + body_len));
    return [{ name, instanceId: instance_id, version, payload, text: deviceText(vmdesc, name, instance_id) }];
  });
  return { sections, vmdesc };
}

/** Cuts one device's object out of the text, without parsing and writing it again. */
function deviceText(vmdesc: string, name: string, instanceId: number): string {
  const start = vmdesc.indexOf(`{"name": "${name}", "instance_id": ${instanceId}, `);
  let depth = 0;
  for (let index = start; index < vmdesc.length; index++) {
    if (vmdesc[index] === '{') depth++;
    if (vmdesc[index] === '}' && --depth === 0) return vmdesc.slice(start, index + 1);
  }
  throw new Error(`no description of ${name} ${instanceId}`);
}
