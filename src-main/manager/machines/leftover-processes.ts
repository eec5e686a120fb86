// SPDX-License-Identifier: Apache-2.0
/** Detached processes that no row of the list names: the other ends of runs whose owner died. */
import { detachedProcesses, type FoundMachine } from './detached.ts';
import { endsOf, settleInterrupted } from './interrupted-run.ts';
import type { LiveMachine } from './live-machine.ts';
import { sentenceOf, type MachineEntry } from './machine-entry.ts';

/** What the list of machines does with them. */
export interface LeftoverHost {
  readonly entries: ReadonlyMap<string, MachineEntry>;
  readonly attach: (entry: MachineEntry, process: FoundMachine) => Promise<LiveMachine>;
  readonly adopt: (entry: MachineEntry, live: LiveMachine) => Promise<void>;
  /** Puts a process that must not be ended on the list. */
  readonly keepAside: (entry: MachineEntry, live: LiveMachine) => Promise<MachineEntry>;
  readonly changed: (entry: MachineEntry) => void;
}

/** Answers a sentence on each guest whose run was interrupted, which is where it says afterwards. */
export async function joinLeftovers(host: LeftoverHost): Promise<readonly string[]> {
  const claimed = new Set([...host.entries.values()].map(({ row }) => row.process?.folder));
  const sentences: string[] = [];
  for (const { machineId, process } of detachedProcesses('')) {
    if (claimed.has(process.folder)) continue;
    const entry = host.entries.get(machineId);
    // Nobody's: its machine was deleted while its owner died.
    if (entry === undefined) await process.dispose();
    else sentences.push(await join(host, entry, process));
  }
  return sentences;
}

async function join(host: LeftoverHost, entry: MachineEntry, process: FoundMachine): Promise<string> {
  const { name } = entry.row.settings;
  let other: LiveMachine;
  try {
    other = await host.attach(entry, process);
  } catch (error) {
    const pid = String(process.pid);
    return `${name}: process ${pid}, an end of an interrupted run, does not answer and was left alone: ${sentenceOf(error)}`;
  }
  const first = entry.live;
  if (first === undefined && entry.process !== 'live') {
    await host.adopt(entry, other);
    return `${name} was found again in the process that an interrupted run had started.`;
  }
  const ends = first === undefined ? undefined : await endsOf(first, other);
  if (ends === undefined) {
    await host.keepAside(entry, other);
    return `The app ended while ${name} was being moved, and its process does not answer. Both processes are kept.`;
  }
  const { owner, sentence } = await settleInterrupted(ends, name);
  if (owner === 'unknown') {
    await host.keepAside(entry, other);
    return sentence;
  }
  const [keep, drop] = owner === 'source' ? [ends.source, ends.destination] : [ends.destination, ends.source];
  if (entry.live !== keep) await host.adopt(entry, keep);
  await drop.dispose();
  await keep.look();
  host.changed(entry);
  return sentence;
}
