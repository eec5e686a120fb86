// SPDX-License-Identifier: Apache-2.0
/**
 * Valid streams that mutations start from: captures of QEMU 7.2 and 10.0 (machine `none`), and one of our own microvm,
 * recorded when it is asked for, since its CPU state depends on the host.
 */
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { bytesOf, capturedStream } from '../captured-streams.ts';
import { startMachine } from '../machine.ts';
import { unitsOf, type ValidStream } from './valid-stream.ts';

const MIB = 1024 ** 2;
const microvmBytes = 8 * MIB;
/** Pages of the recorded microvm that are kept: the rest of its RAM would only make every mutation slower. */
const keptPages = 48;

/** The captures of QEMU that this machine's `none` takes. */
export function qemuStreams(): ValidStream[] {
  const captures = { 'q72-none-precopy': 4, 'q100-none-precopy': 4, 'q72-none-norp': 1, 'q100-none-norp': 1 };
  return Object.entries(captures).map(([name, memoryMiB]) => ({
    name,
    machine: 'none',
    memoryBytes: memoryMiB * MIB,
    bytes: bytesOf(capturedStream(name)),
  }));
}

/** Moves a demo guest between two machine processes and keeps what its source sent. */
export async function recordMicrovm(): Promise<ValidStream> {
  await using source = await startMachine({
    memoryBytes: microvmBytes,
    guest: { dirtyRate: 200, workingSetBytes: MIB },
  });
  await using destination = await startMachine({ memoryBytes: microvmBytes, incoming: 'defer' });
  const path = join(destination.process.folder, 'migration.sock');
  await destination.setCapabilities('return-path');
  await destination.execute('migrate-incoming', { uri: `unix:${path}` });
  const recorder = await startRecorder(join(source.process.folder, 'recorder.sock'), path);
  try {
    await source.setCapabilities('return-path');
    await source.execute('migrate', { uri: `unix:${recorder.path}` });
    await source.untilStatus('completed', 'failed');
    await destination.untilStatus('completed');
  } finally {
    recorder.close();
  }
  return {
    name: 'godwit-microvm',
    machine: 'microvm',
    memoryBytes: microvmBytes,
    bytes: withFewPages(recorder.bytes()),
  };
}

interface Recorder {
  readonly path: string;
  /** What has come from the source so far. */
  bytes(): Buffer;
  close(): void;
}

async function startRecorder(path: string, destination: string): Promise<Recorder> {
  const chunks: Buffer[] = [];
  const sockets: Socket[] = [];
  const server = createServer((source) => {
    const link = connect(destination);
    sockets.push(source, link);
    for (const socket of [source, link]) socket.on('error', () => undefined);
    source.on('data', (chunk: Buffer) => chunks.push(chunk));
    source.pipe(link);
    link.pipe(source);
  });
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  return {
    path,
    bytes: () => Buffer.concat(chunks),
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** The same stream with the first pages only: a page that is never sent is a page of zeros. */
function withFewPages(bytes: Buffer): Buffer {
  const units = unitsOf(bytes);
  let pages = 0;
  const kept = units.filter(({ page }) => page === undefined || (pages += 1) <= keptPages);
  return Buffer.concat(kept.map(({ start, end }) => bytes.subarray(start, end)));
}
