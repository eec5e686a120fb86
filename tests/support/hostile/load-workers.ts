// SPDX-License-Identifier: Apache-2.0
/** Runs a range of mutations in two processes: a crash or a hang of one is seen from outside. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { LoadLine } from './load-report.ts';

const workerPath = fileURLToPath(new URL('load-worker.ts', import.meta.url));
const processes = 2;
/** Nothing that a worker does takes as long as this between two lines. */
const stallMs = 60_000;

export interface WorkerResult {
  readonly lines: readonly LoadLine[];
  /** Why a worker did not come to its end; empty when both did. */
  readonly deaths: readonly string[];
}

/** Loads mutations FIRST to END − 1 of the streams in `folder`. The seed is the environment's. */
export async function runLoadWorkers(folder: string, first: number, end: number): Promise<WorkerResult> {
  const results = await Promise.all(
    Array.from({ length: processes }, (_, index) => runWorker([folder, first + index, end, processes])),
  );
  return { lines: results.flatMap(({ lines }) => lines), deaths: results.flatMap(({ deaths }) => deaths) };
}

async function runWorker(args: readonly (string | number)[]): Promise<WorkerResult> {
  const child = spawn(process.execPath, ['--expose-gc', workerPath, ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: LoadLine[] = [];
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-8192)));
  const kill = (): void => {
    complaint += `\nno line for ${stallMs / 1000} s`;
    child.kill('SIGKILL');
  };
  let stalled = setTimeout(kill, stallMs);
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(JSON.parse(line) as LoadLine);
    clearTimeout(stalled);
    stalled = setTimeout(kill, stallMs);
  }
  // Its output has ended: now it has to be gone soon, whatever it still holds.
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve));
  clearTimeout(stalled);
  const ending = child.signalCode ?? `exit code ${child.exitCode}`;
  const last = `after mutation ${lines.at(-1)?.index ?? 'none'}: ${ending}`;
  return { lines, deaths: child.exitCode === 0 && complaint === '' ? [] : [`${last}\n${complaint}`] };
}
