// SPDX-License-Identifier: Apache-2.0
/** "Where is my VM?": both ends are asked, and the table of ownership decides. */
import { z } from 'zod';
import {
  destinationPhases,
  ownership,
  sourcePhases,
  type DestinationPhase,
  type SourcePhase,
} from '../../../src-shared/migration/ownership.ts';
import { isMigrationStatus } from '../../../src-shared/migration/status.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import type { EndFacts, Whereabouts } from '../../../src-shared/run.ts';
import { destinationPhaseOf, sourcePhaseOf } from '../hand-over.ts';
import type { LiveMachine } from '../machines/live-machine.ts';

const phaseReply = z.object({ side: z.string(), phase: z.string(), sentence: z.string() });

/** One end as it answers now. */
export interface AskedEnd {
  readonly facts: EndFacts;
  readonly phase: SourcePhase | DestinationPhase;
}

export async function askSource(machine: LiveMachine | undefined): Promise<AskedEnd & { readonly phase: SourcePhase }> {
  const { facts, phase } = await ask(machine);
  if (!facts.answers) return { facts, phase: 'gone' };
  const known = sourcePhases.find((candidate) => candidate === phase);
  return { facts, phase: known ?? sourcePhaseOf(facts.status ?? undefined, facts.runState ?? '') };
}

export async function askDestination(
  machine: LiveMachine | undefined,
): Promise<AskedEnd & { readonly phase: DestinationPhase }> {
  const { facts, phase } = await ask(machine);
  if (!facts.answers) return { facts, phase: 'gone' };
  const known = destinationPhases.find((candidate) => candidate === phase);
  return { facts, phase: known ?? destinationPhaseOf(facts.runState ?? '') };
}

async function ask(
  machine: LiveMachine | undefined,
): Promise<{ readonly facts: EndFacts; readonly phase: string | null }> {
  const absent: EndFacts = {
    pid: null,
    answers: false,
    runState: null,
    status: null,
    contactAgeMs: null,
    sentence: null,
  };
  if (machine === undefined) return { facts: absent, phase: null };
  const { pid } = machine.process;
  try {
    const runState = await machine.link.runState();
    const { info } = await machine.link.migration();
    const said = await machine.link
      .execute('x-godwit-migration-phase')
      .then((reply) => phaseReply.parse(reply))
      .catch(() => null); // a stock QEMU
    const status = info.status !== undefined && isMigrationStatus(info.status) ? info.status : null;
    const sentence = said === null ? null : plainText(said.sentence);
    return { facts: { pid, answers: true, runState, status, contactAgeMs: 0, sentence }, phase: said?.phase ?? null };
  } catch {
    return { facts: { ...absent, pid, contactAgeMs: machine.contactAgeMs }, phase: null };
  }
}

/** What the two answers mean. Pure. */
export function whereaboutsOf(
  source: AskedEnd & { readonly phase: SourcePhase },
  destination: AskedEnd & { readonly phase: DestinationPhase },
  name: string,
): Whereabouts {
  const { runs, recoverable } = ownership(source.phase, destination.phase);
  const ends = { source: source.facts, destination: destination.facts };
  if (runs !== 'neither') {
    const running = ends[runs].runState === 'running';
    const where = runs === 'source' ? 'at the source' : 'at the destination';
    return {
      guest: runs,
      runs: running,
      sentence: `${name} is ${where}${running ? ' and runs' : ', stopped'}.`,
      ...ends,
    };
  }
  const [preferred] = recoverable;
  if (preferred === undefined) {
    return { guest: 'unknown', runs: false, sentence: `No end answers that could have ${name}.`, ...ends };
  }
  const remedy =
    preferred === 'destination'
      ? 'The whole guest is at the destination, stopped: it can be resumed there.'
      : 'The guest is at the source, stopped: it can be resumed there.';
  return { guest: preferred, runs: false, sentence: `${name} does not run now. ${remedy}`, ...ends };
}
