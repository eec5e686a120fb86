// SPDX-License-Identifier: Apache-2.0
/** A command at the other end of the stream: it reads what a source saves, or writes what a destination loads. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import { plainText } from '../../../../src-shared/plain-text.ts';
import { native, type Channel } from '../../native/index.ts';
import { MigrationError } from '../errors.ts';
import type { ExecTarget } from './target.ts';

/** What is kept of its stderr, for the reason of its failure. */
const maxStderrBytes = 4096;

export interface CommandChannel {
  readonly channel: Channel;
  /** Resolves when the command has ended well; rejects with what it said. */
  readonly ended: Promise<void>;
  /** Ends the command, where it still runs. */
  readonly kill: () => void;
  /** Lets it run on by itself, also after this process. What it still says is heard by nobody. */
  readonly leave: () => void;
}

/** Starts the command with the stream as its standard input (`write`) or standard output (`read`). */
export function openCommand({ args }: ExecTarget, direction: 'write' | 'read'): CommandChannel {
  const { readEnd, writeEnd } = native.pipe();
  try {
    const [ours, theirs] = direction === 'write' ? [writeEnd, readEnd] : [readEnd, writeEnd];
    const channel = native.openStream(ours);
    try {
      return { channel, ...startCommand(args, direction === 'write' ? [theirs, 'ignore'] : ['ignore', theirs]) };
    } catch (error) {
      channel.close();
      throw error;
    }
  } finally {
    closeSync(readEnd);
    closeSync(writeEnd);
  }
}

function startCommand(
  args: readonly string[],
  [stdin, stdout]: readonly [number | 'ignore', number | 'ignore'],
): Omit<CommandChannel, 'channel'> {
  const [program = '', ...rest] = args;
  // A group of its own: what a shell has started ends with it, and Ctrl-C in a terminal does not reach it.
  const child = spawn(program, rest, { stdio: [stdin, stdout, 'pipe'], detached: true });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-maxStderrBytes);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', (error) => reject(new MigrationError('link', `Cannot run '${program}': ${error.message}`)));
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new MigrationError('link', exitSentence(code, signal, stderr)));
    });
  });
  ended.catch(() => undefined); // whoever waits for it is told
  const leave = (): void => {
    child.stderr?.destroy();
    child.unref();
  };
  return { ended, kill: () => killGroup(child), leave };
}

function exitSentence(code: number | null, signal: NodeJS.Signals | null, stderr: string): string {
  const how = signal === null ? `ended with ${String(code)}` : `was ended by ${signal}`;
  const said = plainText(stderr.trim().split('\n').at(-1) ?? '');
  return `The command ${how}${said === '' ? '' : `: ${said}`}`;
}

function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, 'SIGTERM');
  } catch {
    // it has just ended
  }
}
