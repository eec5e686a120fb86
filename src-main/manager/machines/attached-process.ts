// SPDX-License-Identifier: Apache-2.0
/** How the process of an attached machine is run: as a child of this one, unless a shell has a way of its own. */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { nodeEnvironment } from '../system/node-environment.ts';

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it never was one. */
  readonly failure?: string;
}

export interface AttachedProcess {
  /** Undefined before it is there. */
  readonly pid: number | undefined;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Resolves when it has ended and all it wrote was read. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Answers whether it was still there. */
  kill(signal: NodeJS.Signals): boolean;
}

/**
 * Runs the module at `entry`. The process ends with this one, also when this one is killed. `folder` is the machine's
 * own, for what that takes. Never throws: a failure shows in `exited`.
 */
export type StartAttached = (entry: string, args: readonly string[], folder: string) => AttachedProcess;

/** As a child process. */
export const startChildProcess: StartAttached = (entry, args) => {
  // A group of its own: Ctrl-C in a terminal reaches the manager alone, which then cancels in order. Descriptor 3 is
  // the pipe whose end tells the machine that its manager is gone.
  const child = spawn(process.execPath, [entry, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...nodeEnvironment(), GODWIT_PARENT_FD: '3' },
    detached: true,
  });
  child.stdio[3]?.on('error', () => undefined); // the machine went away: `exited` tells
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('error', (error) => {
      resolve({ code: null, signal: null, failure: `cannot start ${process.execPath}: ${error.message}` });
    });
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  return {
    get pid() {
      return child.pid;
    },
    stdout: child.stdout,
    stderr: child.stderr,
    exited,
    kill: (signal) => child.kill(signal),
  };
};
