// SPDX-License-Identifier: Apache-2.0
/** "Where is my VM?": both ends are asked, and the table of ownership decides. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import {
  destinationPhases,
  ownershipHeard,
  sourcePhases,
  type DestinationPhase,
  type SourcePhase,
} from '../../../src-shared/migration/ownership.ts';
import { isMigrationStatus } from '../../../src-shared/migration/status.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import type { EndFacts, Whereabouts } from '../../../src-shared/run.ts';
import { destinationPhaseOf, sourcePhaseOf } from '../hand-over.ts';
import type { MachineLink } from '../machines/link.ts';

const phaseReply = z.object({ side: z.string(), phase: z.string(), sentence: z.string() });

/** An end that is no process, or does not answer. */
export const NO_PROCESS: EndFacts = {
  pid: null,
  answers: false,
  runState: null,
  status: null,
  contactAgeMs: null,
  sentence: null,
};

/** The end of a process is often noticed a moment after that of its connection. */
const EXIT_SHOWS_WITHIN_MS = 1000;

/** What is needed to ask an end. */
export interface AskableMachine {
  readonly link: Pick<MachineLink, 'runState' | 'migration' | 'execute'>;
  /** `exited` resolves when the process is known to have ended. */
  readonly process: { readonly pid: number | null; readonly exited: Promise<unknown> };
  readonly contactAgeMs: number | null;
}

/** One end as it answers now; `silent`: it does not, and its process is not known to have ended. */
export interface AskedEnd<Phase extends string> {
  readonly facts: EndFacts;
  readonly phase: Phase | 'silent';
}
export type AskedSource = AskedEnd<SourcePhase>;
export type AskedDestination = AskedEnd<DestinationPhase>;

export async function askSource(machine: AskableMachine): Promise<AskedSource> {
  const { facts, phase } = await ask(machine);
  if (!facts.answers) return await silentOrGone(machine, facts);
  const known = sourcePhases.find((candidate) => candidate === phase);
  return { facts, phase: known ?? sourcePhaseOf(facts.status ?? undefined, facts.runState ?? '') };
}

export async function askDestination(machine: AskableMachine): Promise<AskedDestination> {
  const { facts, phase } = await ask(machine);
  if (!facts.answers) return await silentOrGone(machine, facts);
  const known = destinationPhases.find((candidate) => candidate === phase);
  return { facts, phase: known ?? destinationPhaseOf(facts.runState ?? '') };
}

async function silentOrGone({ process }: AskableMachine, facts: EndFacts): Promise<AskedEnd<'gone'>> {
  const late = new AbortController();
  const patience = sleep(EXIT_SHOWS_WITHIN_MS, 'silent' as const, { signal: late.signal });
  patience.catch(() => undefined);
  const phase = await Promise.race([process.exited.then(() => 'gone' as const), patience]);
  late.abort();
  return { facts: phase === 'gone' ? { ...facts, pid: null } : facts, phase };
}

async function ask(machine: AskableMachine): Promise<{ readonly facts: EndFacts; readonly phase: string | null }> {
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
    return { facts: { ...NO_PROCESS, pid, contactAgeMs: machine.contactAgeMs }, phase: null };
  }
}

/** What the two answers mean. Pure. */
export function whereaboutsOf(source: AskedSource, destination: AskedDestination, name: string): Whereabouts {
  const { runs, recoverable } = ownershipHeard(source.phase, destination.phase);
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
    if (source.phase !== 'silent' && destination.phase !== 'silent') {
      const sentence = `${name} is lost: the process that had it has ended, and the other end had not all of it. Start it anew, or from a file that it was saved to.`;
      return { guest: 'nowhere', runs: false, sentence, ...ends };
    }
    const sentence = unknownSentence(name, source.phase === 'silent', destination.phase === 'silent');
    return { guest: 'unknown', runs: false, sentence, ...ends };
  }
  const remedy =
    preferred === 'destination'
      ? 'The whole guest is at the destination, stopped: it can be resumed there.'
      : 'The guest is at the source, stopped: it can be resumed there.';
  return { guest: preferred, runs: false, sentence: `${name} does not run now. ${remedy}`, ...ends };
}

/**
 * What the source's answer means where nobody is at the other end but a file. `letGo`: it has said `completed`, after which
 * it never runs the guest by itself, whatever becomes of it. Pure.
 */
export function savedWhereaboutsOf(source: AskedSource, letGo: boolean, file: string, name: string): Whereabouts {
  const ends = { source: source.facts, destination: NO_PROCESS };
  if (source.phase === 'handed-over' || letGo) {
    return {
      guest: 'file',
      runs: false,
      sentence: `${name} is saved in ${file}; it does not run here any more.`,
      ...ends,
    };
  }
  if (source.phase === 'silent') {
    const sentence = `It is not known where ${name} is: its process lives and does not answer. Look at it under Machines.`;
    return { guest: 'unknown', runs: false, sentence, ...ends };
  }
  if (source.phase === 'gone') {
    const sentence = `The process of ${name} has ended before all of the guest was in ${file}.`;
    return { guest: 'nowhere', runs: false, sentence, ...ends };
  }
  const running = source.facts.runState === 'running';
  const sentence = `${name} is at the source${running ? ' and runs' : ', stopped'}.`;
  return { guest: 'source', runs: running, sentence, ...ends };
}

function unknownSentence(name: string, sourceSilent: boolean, destinationSilent: boolean): string {
  const who =
    sourceSilent && destinationSilent
      ? 'neither end answers, though their processes live'
      : `the ${sourceSilent ? 'source' : 'destination'} does not answer, though its process lives`;
  return `It is not known where ${name} is: ${who}. Both processes are kept: look at them under Machines.`;
}
