// SPDX-License-Identifier: Apache-2.0
/** Starts store-child.ts as a process, if wanted with mounts of its own. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('./store-child.ts', import.meta.url));

export interface StoreProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  /** The next line, parsed. Rejects with what stderr said when the process ends before it. */
  next(): Promise<Record<string, unknown>>;
  /** Ends its stdin and waits for it. */
  finish(): Promise<void>;
  kill(): Promise<void>;
}

/** Whether this box lets a user make a mount namespace: needed for read-only and full disks. */
export const canMount = spawnSync('unshare', ['-rm', 'true']).status === 0;

/** `mounts`: a shell command that is run first, as root of a user namespace with mounts of its own. */
export function storeProcess(command: string, path: string, mounts?: string): StoreProcess {
  const node = [process.execPath, CHILD, command, path];
  const [program = '', ...args] =
    mounts === undefined ? node : ['unshare', '-rm', 'sh', '-c', `set -e; ${mounts}; exec "$@"`, 'sh', ...node];
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  let errors = '';
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return {
    child,
    next: async () => {
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`${command} ended: ${errors}`);
      return JSON.parse(value) as Record<string, unknown>;
    },
    finish: async () => {
      child.stdin.end();
      await ended;
    },
    kill: stop,
    [Symbol.asyncDispose]: stop,
  };
}
