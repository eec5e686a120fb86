// SPDX-License-Identifier: Apache-2.0
/** What the box can do with none of a migration's work: how far a transfer is from what is possible at all. */
import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import * as net from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { moduleBeside } from '../../../src-shared/module-beside.ts';
import { makeRunFolder } from '../paths.ts';
import { nodeEnvironment } from '../system/node-environment.ts';
import type { BenchRow, Transport } from './rows.ts';
import { BenchError } from './types.ts';
import type { LimitKind } from './types.ts';

const WORKER = fileURLToPath(moduleBeside(import.meta.url, './limit-worker'));

const workerReport = z.object({ ms: z.number().positive(), bytes: z.number() });

export const limitMeanings: Readonly<Record<LimitKind, string>> = {
  socket: 'one process writes, one reads, 1 MiB a call, nothing else',
  memcpy: 'one thread copies memory to memory',
  scan: 'one thread looks for a byte in zero memory (memchr)',
};

/** Limits that say something about a row: random RAM is carried, zero RAM is looked at. */
export function limitsOf(row: BenchRow): readonly LimitKind[] {
  return row.content === 'random' ? ['socket', 'memcpy'] : ['scan'];
}

/** Measures one limit once. Answers bytes per second. */
export async function measureLimit(kind: LimitKind, row: BenchRow, signal: AbortSignal): Promise<number> {
  switch (kind) {
    case 'socket':
      return measureSocket(row.transport, row.memoryBytes, signal);
    case 'memcpy':
      return runWorker('copy', row.memoryBytes, 'ignore', signal);
    case 'scan':
      return runWorker('scan', row.memoryBytes, 'ignore', signal);
  }
}

async function measureSocket(transport: Transport, bytes: number, signal: AbortSignal): Promise<number> {
  const folder = makeRunFolder();
  try {
    const [near, far] = await connectedPair(transport, join(folder, 'limit.sock'));
    // Each worker gets its own copy of its socket.
    const receiving = runWorker('receive', bytes, near, signal);
    const sending = runWorker('send', bytes, far, signal);
    near.destroy();
    far.destroy();
    const [sent, received] = await Promise.allSettled([sending, receiving]);
    if (received.status === 'rejected') throw received.reason;
    if (sent.status === 'rejected') throw sent.reason;
    return sent.value;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Two connected sockets from which nobody reads here. */
async function connectedPair(transport: Transport, path: string): Promise<[net.Socket, net.Socket]> {
  const server = net.createServer({ pauseOnConnect: true });
  try {
    server.listen(transport === 'unix' ? { path } : { host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const accepted = once(server, 'connection') as Promise<[net.Socket]>;
    const near = transport === 'unix' ? net.connect({ path }) : net.connect({ host: '127.0.0.1', port });
    near.pause();
    await once(near, 'connect');
    const [far] = await accepted;
    return [near, far];
  } finally {
    server.close();
  }
}

type WorkerInput = 'ignore' | net.Socket;

/** Bytes per second that the worker's own clock saw. */
async function runWorker(work: string, bytes: number, input: WorkerInput, signal: AbortSignal): Promise<number> {
  const stdio: StdioOptions = [input, 'pipe', 'pipe'];
  // Ctrl-C in a terminal reaches the manager alone; the signal then ends the worker.
  const options = { stdio, signal, killSignal: 'SIGKILL', detached: true, env: nodeEnvironment() } as const;
  const child: ChildProcess = spawn(process.execPath, [WORKER, work, String(bytes)], options);
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new BenchError('FAILED', `a limit could not be measured: ${lastLine(stderr)}`);
    const report = workerReport.parse(JSON.parse(stdout));
    return report.bytes / (report.ms / 1000);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    process.off('exit', kill);
  }
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';
