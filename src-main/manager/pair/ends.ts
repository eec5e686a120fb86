// SPDX-License-Identifier: Apache-2.0
/** The two machines of a move, one of which may be missing where the stream is kept; and what is asked of them. */
import type { Whereabouts } from '../../../src-shared/run.ts';
import { askDestination, askSource, NO_PROCESS, whereaboutsOf } from '../migrations/whereabouts.ts';
import type { EndFacts } from './checks.ts';
import type { ForeignMachine } from './foreign-machine.ts';
import type { EndRecord, Side } from './types.ts';

export interface Ends {
  readonly source: ForeignMachine | undefined;
  readonly destination: ForeignMachine | undefined;
}

/** Those that are there. */
export function presentEnds({ source, destination }: Ends): readonly (readonly [Side, ForeignMachine])[] {
  return [
    ...(source ? [['source', source] as const] : []),
    ...(destination ? [['destination', destination] as const] : []),
  ];
}

export async function factsOf(machine: ForeignMachine | undefined): Promise<EndFacts | undefined> {
  if (machine === undefined) return undefined;
  const { info } = await machine.link.migration();
  return {
    path: machine.path,
    runState: await machine.link.runState(),
    status: info.status,
    blockedReasons: info['blocked-reasons'] ?? [],
    memoryBytes: machine.identity.memoryBytes,
  };
}

/** Null where it cannot be asked any more. */
export async function recordOf(machine: ForeignMachine | undefined): Promise<EndRecord> {
  if (machine === undefined) return null;
  try {
    const { raw } = await machine.link.migration();
    return { ...raw, runstate: await machine.link.runState() };
  } catch {
    return null;
  }
}

const ABSENT = { facts: NO_PROCESS, phase: 'gone' } as const;

/** Asks both ends; `uri` is where a guest without a destination was saved. */
export async function whereIsTheGuest(ends: Ends, uri: string): Promise<Whereabouts> {
  const name = ends.source?.identity.name ?? 'The guest';
  const source = ends.source === undefined ? ABSENT : await askSource(ends.source);
  const destination = ends.destination === undefined ? ABSENT : await askDestination(ends.destination);
  const where = whereaboutsOf(source, destination, name);
  if (ends.destination !== undefined || source.facts.status !== 'completed') return where;
  const sentence = `${name} is saved in ${uri}; it does not run here any more.`;
  return { ...where, guest: 'file', runs: false, sentence };
}
