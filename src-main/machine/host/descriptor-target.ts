// SPDX-License-Identifier: Apache-2.0
/** `fd:`: a descriptor that a monitor's client has passed, or that the machine's process was started with. */
import { closeSync, fstatSync } from 'node:fs';
import type { FdTarget } from '../engine/channels/target.ts';
import type { DescriptorTable } from './descriptor-table.ts';
import { takeInherited } from './inherited-descriptors.ts';
import { Refusal } from './refusal.ts';

/** A source's: always by its name. */
export function outgoingDescriptor(name: string, descriptors: DescriptorTable): FdTarget {
  return target(name, descriptors.take(name), 'to');
}

/** A destination's: by its name, or by the number of a descriptor that the process has inherited. */
export function incomingDescriptor(name: string, descriptors: DescriptorTable): FdTarget {
  return target(name, /^[0-9]/.test(name) ? inherited(name) : descriptors.take(name), 'from');
}

function target(name: string, descriptor: number, direction: 'to' | 'from'): FdTarget {
  const kind = fstatSync(descriptor);
  if (!kind.isFile() && !kind.isDirectory()) {
    return { type: 'fd', name, descriptor, oneWay: !kind.isSocket() };
  }
  closeSync(descriptor);
  throw new Refusal(`fd: migration ${direction} a file is not supported. Use "file:" instead.`);
}

function inherited(name: string): number {
  const descriptor = /^\d{1,9}$/.test(name) ? Number(name) : Number.NaN;
  if (Number.isNaN(descriptor)) throw new Refusal(`Invalid file descriptor number '${name}'`);
  if (descriptor <= 2) throw new Refusal(`Invalid file descriptor number '${name}': 0 to 2 are the machine's own`);
  if (!takeInherited(descriptor)) {
    throw new Refusal(`Invalid file descriptor number '${name}': this machine was not started with it`);
  }
  return descriptor;
}
