// SPDX-License-Identifier: Apache-2.0
/** A mutated stream into a whole machine process. */
import { connect } from 'node:net';
import { join } from 'node:path';
import { spawnMachine, type MachineExit } from '../../../src-main/manager/machines/builtin.ts';
import { until } from '../machine.ts';
import { sentenceFault } from './load-report.ts';
import type { MutatedStream } from './stream-mutations.ts';

export interface ProcessLoad {
  readonly exit: MachineExit;
  /** What should not be. */
  readonly fault: string | undefined;
}

/**
 * Feeds the stream to a machine process that lets the guest run, and waits until it closes the connection. A process
 * whose load failed has begun to end then; one that took the guest over is asked to.
 */
export async function loadIntoProcess({ base, bytes }: MutatedStream, folder: string): Promise<ProcessLoad> {
  const { machine: kind, memoryBytes } = base;
  const path = join(folder, 'migration.sock');
  const machine = spawnMachine({
    name: 'destination',
    machine: kind,
    memoryBytes,
    ...(kind === 'microvm' && { cpus: 1 }),
    incoming: `unix:${path}`,
  });
  try {
    await machine.ready;
    const peer = connect(path);
    peer.on('error', () => undefined); // a destination that refuses a stream closes in the middle of it
    peer.resume();
    peer.end(bytes);
    await new Promise((resolve) => peer.once('close', resolve));
    machine.kill('SIGTERM');
    const exit = await ended(machine.exited);
    return { exit, fault: faultOf(exit) };
  } finally {
    await machine.dispose();
  }
}

async function ended(exited: Promise<MachineExit>): Promise<MachineExit> {
  let exit: MachineExit | undefined;
  void exited.then((value) => (exit = value));
  await until(
    'end of the process',
    () => Promise.resolve(exit),
    (value) => value !== undefined,
  );
  return await exited;
}

function faultOf({ code, signal, lastWords }: MachineExit): string | undefined {
  // SIGTERM may meet a process that has said its last words and listens to signals no more.
  const asked = signal === 'SIGTERM' && lastWords !== '';
  if (!asked && (signal !== null || (code !== 0 && code !== 1))) return `ended with ${signal ?? `code ${code}`}`;
  if (code === 0) return undefined;
  return lastWords === '' ? 'ended without last words' : sentenceFault(lastWords);
}
