// SPDX-License-Identifier: Apache-2.0
// Runs a program of the tests in a process group of its own, which ends as a whole.
import { spawn } from 'node:child_process';
import path from 'node:path';

export const root = path.resolve(import.meta.dirname, '..', '..');

const KILL_AFTER_MS = 5000;

export interface CommandResult {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  /** What it printed, where that was captured. */
  readonly output: string;
  /** It was ended because `signal` was aborted. */
  readonly aborted: boolean;
}

export interface CommandOptions {
  readonly signal: AbortSignal;
  /** Keep the output instead of showing it. */
  readonly capture?: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

/** Rejects only when the program cannot be started. */
export function runCommand(command: string, args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const { signal, capture = false, env = process.env } = options;
  const output: Buffer[] = [];
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      resolve({ code: null, output: '', aborted: true });
      return;
    }
    const out = capture ? 'pipe' : 'inherit';
    const child = spawn(command, args, { cwd: root, env, detached: true, stdio: ['ignore', out, out] });
    const keep = (chunk: Buffer): void => void output.push(chunk);
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);

    let killTimer: NodeJS.Timeout | undefined;
    const end = (): void => {
      signalGroup(child.pid, 'SIGTERM');
      killTimer = setTimeout(() => {
        signalGroup(child.pid, 'SIGKILL');
      }, KILL_AFTER_MS);
    };
    signal.addEventListener('abort', end, { once: true });
    const settle = (): void => {
      signal.removeEventListener('abort', end);
      clearTimeout(killTimer);
    };
    child.on('error', (error) => {
      settle();
      reject(error);
    });
    child.on('close', (code) => {
      settle();
      resolve({ code, output: Buffer.concat(output).toString('utf8'), aborted: signal.aborted });
    });
  });
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The group has ended already.
  }
}
