// SPDX-License-Identifier: Apache-2.0
/** Godwit's own machines in the benchmark: machine `none`, as users start it. */
import { describeExit, MachineError, spawnMachine } from '../machines/builtin.ts';
import { MachineLink } from '../machines/link.ts';
import type { BenchEnd, Contestant, EndOptions } from './contestant.ts';

export function godwitContestant(version: string): Contestant {
  return { name: `Godwit ${version}`, startEnd };
}

async function startEnd({ role, memoryBytes, image, signal }: EndOptions): Promise<BenchEnd> {
  signal.throwIfAborted();
  const machine = spawnMachine({
    name: role,
    machine: 'none',
    memoryBytes,
    paused: true,
    ...(role === 'destination' && { incoming: 'defer' }),
    ...(image !== undefined && { load: [{ file: image, address: 0 }] }),
  });
  const stop = (): void => void machine.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  const failure = machine.exited.then((exit): never => {
    throw new MachineError(`the ${role} ended: ${describeExit(exit)}`);
  });
  failure.catch(() => undefined); // whoever waits for it hears of it
  try {
    await machine.ready;
    const link = await MachineLink.connect(machine.qmpPath, signal);
    return {
      pid: machine.pid,
      link,
      folder: machine.folder,
      failure,
      dispose: async () => {
        signal.removeEventListener('abort', stop);
        link.close();
        await machine.dispose();
      },
    };
  } catch (error) {
    await machine.dispose();
    signal.throwIfAborted();
    throw error;
  }
}
