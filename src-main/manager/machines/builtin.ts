// SPDX-License-Identifier: Apache-2.0
/** Godwit's own machines: one process each, with its sockets in a private folder. */
import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { moduleBeside } from '../../../src-shared/module-beside.ts';
import { formatSizeExactly } from '../../../src-shared/sizes.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import { deadlines } from '../deadlines.ts';
import { makeRunFolder } from '../paths.ts';
import { startChildProcess, type AttachedProcess, type StartAttached } from './attached-process.ts';

/** The machine's entry. The manager knows its path and its options, and imports nothing of it. */
export const MACHINE_ENTRY = fileURLToPath(moduleBeside(import.meta.url, '../../machine/main'));

/** What is kept of a machine's stderr: enough for its last words, however much it says. */
const MAX_STDERR_BYTES = 16 * 1024;
/** The ready line is short; a machine that floods stdout before it is broken. */
const MAX_READY_BYTES = 4096;

/** The machine could not be started, or ended. The message is its last words where it said any. */
export class MachineError extends Error {
  readonly code = 'MACHINE';
  override readonly name = 'MachineError';
}

export interface DemoGuestSettings {
  /** Pages a second. */
  readonly dirtyRate: number;
  readonly workingSetBytes: number;
  readonly seed?: bigint;
}

export interface MachineSpawnOptions {
  readonly name: string;
  readonly machine: 'none' | 'microvm';
  readonly memoryBytes: number;
  /** Absent for machine `none`. */
  readonly cpus?: number;
  readonly cpu?: string;
  readonly guest?: DemoGuestSettings;
  /** Files to put into RAM before the start, at guest physical addresses; for machine `none`. */
  readonly load?: readonly { readonly file: string; readonly address: number }[];
  /** `defer` or a URI. */
  readonly incoming?: string;
  readonly paused?: boolean;
  readonly hugePages?: '2M';
  readonly uuid?: string;
  readonly onlyMigratable?: boolean;
  readonly dirtyRingSize?: number;
  /** Parts of the stream to leave out, for peers that do not know them. */
  readonly leaveOut?: readonly ('send-configuration' | 'send-section-footer' | 'store-global-state')[];
}

export interface MachineExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What the machine said on stderr before it ended, without the `godwit: ` before it; empty if nothing. */
  readonly lastWords: string;
}

export interface MachineProcess {
  readonly name: string;
  /** -1 before there is one; from `ready` on it is there. */
  readonly pid: number;
  /** The manager's QMP socket. */
  readonly qmpPath: string;
  /** The user's QMP socket. */
  readonly userQmpPath: string;
  /** File with the guest's serial output; for machine `none` nothing ever appears there. */
  readonly serialPath: string;
  /** Private folder of the machine (mode 0700): a place for its migration socket. */
  readonly folder: string;
  /** Resolves when the sockets listen; rejects with a {@link MachineError} that holds the last words. */
  readonly ready: Promise<void>;
  /** Resolves when the process has ended. Never rejects. */
  readonly exited: Promise<MachineExit>;
  /** The newest sentence on its stderr so far; empty if there was none. */
  lastWords(): string;
  /** Answers whether the process was still there. */
  kill(signal: NodeJS.Signals): boolean;
  /** Ends the process if it still runs, waits for that, and removes its folder. May be called again. */
  dispose(): Promise<void>;
}

/** Machines not disposed of yet: whatever way this process exits, none outlives it and no folder stays. */
const undisposed = new Set<{ readonly child: AttachedProcess; readonly folder: string }>();
process.once('exit', () => {
  for (const { child, folder } of undisposed) {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
});

/** The command line of a machine process; the inverse of what its entry parses. */
export function machineArguments(
  options: MachineSpawnOptions,
  sockets: { readonly qmpPath: string; readonly userQmpPath: string; readonly serialPath: string },
): string[] {
  const args = ['--qmp', `unix:${sockets.qmpPath}`, '--qmp', `unix:${sockets.userQmpPath}`];
  const put = (option: string, value: string | number | undefined): void => {
    if (value !== undefined) args.push(`--${option}`, String(value));
  };
  put('name', options.name);
  put('machine', options.machine);
  put('memory', formatSizeExactly(options.memoryBytes));
  if (options.machine === 'microvm') {
    put('cpus', options.cpus);
    put('cpu', options.cpu);
    put('guest', options.guest === undefined ? undefined : guestArgument(options.guest));
    put('serial', `file:${sockets.serialPath}`);
    put('dirty-ring-size', options.dirtyRingSize);
  }
  for (const { file, address } of options.load ?? []) put('load', `${file}@0x${address.toString(16)}`);
  put('incoming', options.incoming);
  put('huge-pages', options.hugePages);
  put('uuid', options.uuid);
  for (const part of options.leaveOut ?? []) put(`x-godwit-${part}`, 'off');
  if (options.paused === true) args.push('--paused');
  if (options.onlyMigratable === true) args.push('--only-migratable');
  return args;
}

function guestArgument(guest: DemoGuestSettings): string {
  const seed = guest.seed === undefined ? '' : `,seed=${String(guest.seed)}`;
  return `demo,dirty-rate=${String(guest.dirtyRate)},working-set=${formatSizeExactly(guest.workingSetBytes)}${seed}`;
}

/**
 * Starts a machine process. Throws only when its folder cannot be made; everything later shows in `ready` and
 * `exited`. The process ends with this one, also when this one is killed.
 */
export function spawnMachine(options: MachineSpawnOptions, start: StartAttached = startChildProcess): MachineProcess {
  const folder = makeRunFolder();
  const sockets = {
    qmpPath: join(folder, 'qmp.sock'),
    userQmpPath: join(folder, 'user.sock'),
    serialPath: join(folder, 'serial.log'),
  };
  const child = start(MACHINE_ENTRY, machineArguments(options, sockets), folder);
  const entry = { child, folder };
  undisposed.add(entry);
  const stderr = collectStderr(child.stderr);
  const exited = watchExit(child, stderr);
  const ready = watchReady(child.stdout, exited, options);
  ready.catch(() => undefined); // whoever waits for it hears of it; nobody has to
  return {
    name: options.name,
    get pid() {
      return child.pid ?? -1;
    },
    ...sockets,
    folder,
    ready,
    exited,
    lastWords: () => lastWordsOf(stderr()),
    kill: (signal) => child.kill(signal),
    dispose: async () => {
      await disposeMachine(child, exited, folder);
      undisposed.delete(entry);
    },
  };
}

/** Answers a function that gives the end of what the machine has written on stderr. */
function collectStderr(stream: Readable | null): () => string {
  let stderr = '';
  stream?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-MAX_STDERR_BYTES);
  });
  return () => stderr;
}

async function watchExit(child: AttachedProcess, stderr: () => string): Promise<MachineExit> {
  const { code, signal, failure } = await child.exited;
  return { code, signal, lastWords: failure ?? lastWordsOf(stderr()) };
}

/** The newest line that starts with `godwit: `, else the newest line. */
export function lastWordsOf(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const line = lines.findLast((text) => text.startsWith('godwit: ')) ?? lines.at(-1) ?? '';
  return plainText(line.replace(/^godwit: /, ''));
}

/** How a machine ended, as the end of a sentence. */
export function describeExit(exit: MachineExit): string {
  if (exit.lastWords !== '') return exit.lastWords;
  return exit.signal === null ? `exit code ${String(exit.code)}` : `killed by ${exit.signal}`;
}

function watchReady(
  stdout: Readable | null,
  exited: Promise<MachineExit>,
  options: MachineSpawnOptions,
): Promise<void> {
  const deadlineMs = deadlines.machineReady + (options.memoryBytes / 1024 ** 3) * deadlines.machineReadyPerGiB;
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      reject(new MachineError(`machine ${options.name} did not start: ${reason}`));
    };
    const timer = setTimeout(() => {
      fail(`not ready after ${(deadlineMs / 1000).toFixed(0)} s; is the box overloaded?`);
    }, deadlineMs);
    let text = '';
    const onData = (piece: string): void => {
      text += piece;
      const saidReady = text.split('\n').slice(0, -1).some(isReadyLine);
      if (!saidReady && text.length <= MAX_READY_BYTES) return;
      clearTimeout(timer);
      stdout?.off('data', onData).resume();
      if (saidReady) resolve();
      else fail('it wrote something else where its ready line should be');
    };
    stdout?.setEncoding('utf8').on('data', onData);
    void exited.then((exit) => {
      clearTimeout(timer);
      fail(describeExit(exit));
    });
  });
}

function isReadyLine(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'ready' in value && value.ready === true;
  } catch {
    return false;
  }
}

async function disposeMachine(child: AttachedProcess, exited: Promise<MachineExit>, folder: string): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlines.machineEnd);
  await exited;
  clearTimeout(timer);
  await rm(folder, { recursive: true, force: true });
}
