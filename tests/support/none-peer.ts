// SPDX-License-Identifier: Apache-2.0
/** One end of a move of machine `none`: a Godwit or a stock QEMU, driven in the same way. */
import { join } from 'node:path';
import { listeningUri } from '../../src-main/manager/demo/migration-watch.ts';
import { describeExit, spawnMachine, type MachineSpawnOptions } from '../../src-main/manager/machines/builtin.ts';
import { MachineLink, type MachineEvent } from '../../src-main/manager/machines/link.ts';
import { QemuProcess } from './qemu.ts';

export interface NonePeer {
  readonly link: MachineLink;
  /** Private folder, gone with the peer. */
  readonly folder: string;
  /** Path of the monitor that nobody is connected to. */
  readonly userMonitor: string;
  /** Every event so far. */
  readonly events: readonly MachineEvent[];
  /** Resolves when its process has ended, with what it said. */
  readonly lastWords: Promise<string>;
  dispose(): Promise<void>;
}

export interface NonePeerOptions {
  readonly kind: 'godwit' | 'qemu';
  readonly memoryBytes: number;
  /** A file of that size that its RAM holds at the start. It may be removed once the peer has been started. */
  readonly content?: string | undefined;
  /** Waits for a guest. */
  readonly incoming?: boolean;
  readonly paused?: boolean;
  readonly uuid?: string | undefined;
  readonly leaveOut?: MachineSpawnOptions['leaveOut'];
  /** A QEMU that neither sends nor expects the description at the end of a stream. */
  readonly suppressVmdesc?: boolean;
}

/** Starts a peer and connects to it. */
export async function startNonePeer(options: NonePeerOptions): Promise<NonePeer> {
  return options.kind === 'qemu' ? startQemu(options) : startGodwit(options);
}

/** Lets a destination listen; answers where. */
export async function listen(destination: NonePeer, transport: 'unix' | 'tcp'): Promise<string> {
  const asked = transport === 'tcp' ? 'tcp:127.0.0.1:0' : `unix:${join(destination.folder, 'migration.sock')}`;
  await destination.link.execute('migrate-incoming', { uri: asked });
  if (transport === 'unix') return asked;
  const listening = listeningUri((await destination.link.migration()).info);
  if (listening === undefined) throw new Error('the destination does not say where it listens');
  return listening;
}

async function startQemu({
  memoryBytes,
  content,
  incoming,
  paused,
  suppressVmdesc,
  uuid,
  leaveOut = [],
}: NonePeerOptions): Promise<NonePeer> {
  const qemu = await QemuProcess.start({
    memoryBytes,
    leaveOut,
    ...(uuid !== undefined && { uuid }),
    incoming: incoming === true,
    paused: paused === true,
    suppressVmdesc: suppressVmdesc === true,
    secondMonitor: true,
    // The file itself becomes its RAM.
    ...(content !== undefined && { ramFile: content }),
  });
  return {
    link: qemu.link,
    folder: qemu.folder,
    userMonitor: qemu.userMonitor,
    events: eventsOf(qemu.link),
    lastWords: qemu.exited.then(({ code, signal }) => `QEMU ended with ${String(code ?? signal)}: ${qemu.stderr}`),
    dispose: () => qemu.dispose(),
  };
}

async function startGodwit({
  memoryBytes,
  content,
  incoming,
  paused,
  uuid,
  leaveOut = [],
}: NonePeerOptions): Promise<NonePeer> {
  const machine = spawnMachine({
    name: incoming === true ? 'destination' : 'source',
    machine: 'none',
    memoryBytes,
    paused: paused === true,
    leaveOut,
    ...(uuid !== undefined && { uuid }),
    ...(incoming === true && { incoming: 'defer' }),
    ...(content !== undefined && { load: [{ file: content, address: 0 }] }),
  });
  try {
    await machine.ready;
    const link = await MachineLink.connect(machine.qmpPath, AbortSignal.timeout(30_000));
    return {
      link,
      folder: machine.folder,
      userMonitor: machine.userQmpPath,
      events: eventsOf(link),
      lastWords: machine.exited.then((exit) => `Godwit ended: ${describeExit(exit)}`),
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
