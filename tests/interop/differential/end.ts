// SPDX-License-Identifier: Apache-2.0
/** One machine of a scenario: machine `none`, of either kind, stopped until it is told to run. */
import { spawnMachine } from '../../../src-main/manager/machines/builtin.ts';
import { MachineLink, type MachineEvent } from '../../../src-main/manager/machines/link.ts';
import { QemuProcess } from '../../support/qemu.ts';

export type Kind = 'qemu' | 'godwit';

export const MEMORY_BYTES = 16 * 1024 ** 2;

export interface End {
  readonly link: MachineLink;
  readonly events: readonly MachineEvent[];
  /** Exit code, or the signal. */
  readonly exited: Promise<number | string | null>;
  /** What it said last on its stderr. */
  lastWords(): string;
  kill(): void;
  dispose(): Promise<void>;
}

export async function startEnd(kind: Kind, incoming: boolean): Promise<End> {
  if (kind === 'qemu') {
    const qemu = await QemuProcess.start({ memoryBytes: MEMORY_BYTES, incoming, paused: true, secondMonitor: true });
    return {
      link: qemu.link,
      events: eventsOf(qemu.link),
      exited: qemu.exited.then(({ code, signal }) => code ?? signal),
      lastWords: () => qemu.stderr,
      kill: () => void process.kill(qemu.pid, 'SIGKILL'),
      dispose: () => qemu.dispose(),
    };
  }
  const machine = spawnMachine({
    name: incoming ? 'destination' : 'source',
    machine: 'none',
    memoryBytes: MEMORY_BYTES,
    paused: true,
    ...(incoming && { incoming: 'defer' }),
  });
  try {
    await machine.ready;
    const link = await MachineLink.connect(machine.qmpPath, AbortSignal.timeout(30_000));
    return {
      link,
      events: eventsOf(link),
      exited: machine.exited.then(({ code, signal }) => code ?? signal),
      lastWords: () => machine.lastWords(),
      kill: () => void machine.kill('SIGKILL'),
      dispose: async () => {
        link.close();
        await machine.dispose();
      },
    };
  } catch (error) {
    await machine.dispose();
    throw error;
  }
}

function eventsOf(link: MachineLink): MachineEvent[] {
  const events: MachineEvent[] = [];
  link.onEvent((event) => events.push(event));
  return events;
}
