// SPDX-License-Identifier: Apache-2.0
/**
 * Machines that outlive the app: each in a session of its own, with no pipe to whoever started it. They are found again
 * by the folder of their sockets, and told from a stranger with the same number by when the process was started.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { deadlines } from '../deadlines.ts';
import { ensureRuntimeDir } from '../paths.ts';
import { nodeEnvironment } from '../system/node-environment.ts';
import { identityOf, isGone } from '../store/process-identity.ts';
import { processIdentity, type MachineProcessFacts, type ProcessIdentity } from '../store/types.ts';
import {
  describeExit,
  lastWordsOf,
  MACHINE_ENTRY,
  machineArguments,
  MachineError,
  type MachineExit,
  type MachineProcess,
  type MachineSpawnOptions,
} from './builtin.ts';

/** Not `vm-PID-…`: a folder of that kind is removed once the process PID is gone. */
const FOLDER_PREFIX = 'det-';
/** How often a process that is no child of ours is looked at. */
const WATCH_EVERY_MS = 250;
const READY_EVERY_MS = 20;
const LOG_NAME = 'machine.log';
/** Says whose process it is, for a manager that knows nothing of it. */
const CARD_NAME = 'machine.json';
const card = z.object({ machineId: z.string(), identity: processIdentity });
const MAX_LOG_BYTES = 16 * 1024;

/** A detached machine that was found, with the time since its process was started. */
export interface FoundMachine extends MachineProcess {
  readonly ageMs: number;
}

/** Starts a machine that goes on when this process ends, however it ends. */
export function startDetachedMachine(options: MachineSpawnOptions, machineId: string): MachineProcess {
  const folder = mkdtempSync(join(ensureRuntimeDir(), FOLDER_PREFIX));
  const paths = pathsIn(folder);
  const log = openSync(join(folder, LOG_NAME), 'a', 0o600);
  try {
    const child = spawn(process.execPath, [MACHINE_ENTRY, ...machineArguments(options, paths)], {
      stdio: ['ignore', log, log],
      detached: true, // setsid(2): a hang-up of the terminal does not reach it
      env: environment(),
    });
    child.unref();
    const failed = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(`cannot start ${process.execPath}: ${error.message}`));
    });
    const identity = child.pid === undefined ? null : identityOf(child.pid);
    if (identity !== null)
      writeFileSync(join(folder, CARD_NAME), JSON.stringify({ machineId, identity }), { mode: 0o600 });
    return machineProcess(options.name, folder, identity, { failed, readyWithin: readyWithin(options.memoryBytes) });
  } finally {
    closeSync(log);
  }
}

/**
 * Detached processes of this user that still run, by the machine that they were started for. One that no row of the list
 * names is the other end of a run whose owner died. Folders whose process is gone are removed.
 */
export function detachedProcesses(
  name: string,
): readonly { readonly machineId: string; readonly process: FoundMachine }[] {
  const runtimeDir = ensureRuntimeDir();
  return readdirSync(runtimeDir)
    .filter((entry) => entry.startsWith(FOLDER_PREFIX))
    .flatMap((entry) => {
      const folder = join(runtimeDir, entry);
      const card = cardOf(folder);
      if (card === null) return []; // just being made by another process
      const process = findDetachedMachine({ identity: card.identity, folder, ...pathsIn(folder) }, name);
      return process === null ? [] : [{ machineId: card.machineId, process }];
    });
}

function cardOf(folder: string): z.infer<typeof card> | null {
  try {
    return card.parse(JSON.parse(readFileSync(join(folder, CARD_NAME), 'utf8')));
  } catch {
    return null;
  }
}

/** The process that these facts are of; null when it is gone. What it left behind is removed then. */
export function findDetachedMachine(facts: MachineProcessFacts, name: string): FoundMachine | null {
  if (isGone(facts.identity)) {
    if (isOurs(facts.folder)) rmSync(facts.folder, { recursive: true, force: true });
    return null;
  }
  const found = machineProcess(name, facts.folder, facts.identity, { readyWithin: deadlines.machineReady });
  return { ...found, ageMs: ageMs(facts.identity) };
}

function isOurs(folder: string): boolean {
  return folder.startsWith(join(ensureRuntimeDir(), FOLDER_PREFIX));
}

/** The machine must not take a parent's pipe or debug settings for its own. */
function environment(): NodeJS.ProcessEnv {
  const { GODWIT_PARENT_FD: _pipe, GODWIT_PARENT_SOCKET: _socket, NODE_OPTIONS: _options, ...rest } = process.env;
  return nodeEnvironment(rest);
}

function pathsIn(folder: string) {
  return {
    qmpPath: join(folder, 'qmp.sock'),
    userQmpPath: join(folder, 'user.sock'),
    serialPath: join(folder, 'serial.log'),
  };
}

const readyWithin = (memoryBytes: number): number =>
  deadlines.machineReady + (memoryBytes / 1024 ** 3) * deadlines.machineReadyPerGiB;

function machineProcess(
  name: string,
  folder: string,
  identity: ProcessIdentity | null,
  options: { readonly failed?: Promise<string>; readonly readyWithin: number },
): MachineProcess {
  const lastWords = (): string => lastWordsOf(logOf(folder));
  const watch = new AbortController();
  const exited = watchProcess(identity, lastWords, options.failed, watch.signal);
  const ready = untilReady(name, folder, exited, options.readyWithin);
  ready.catch(() => undefined);
  const kill = (signal: NodeJS.Signals): boolean => {
    if (identity === null || isGone(identity)) return false;
    return process.kill(identity.pid, signal);
  };
  return {
    name,
    pid: identity?.pid ?? -1,
    ...pathsIn(folder),
    folder,
    ready,
    exited,
    lastWords,
    kill,
    dispose: async () => {
      if (kill('SIGTERM')) {
        const timer = setTimeout(() => kill('SIGKILL'), deadlines.machineEnd);
        await exited;
        clearTimeout(timer);
      }
      watch.abort();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The process is no child of this one after a restart: nobody is told of its end, so it is looked for. */
async function watchProcess(
  identity: ProcessIdentity | null,
  lastWords: () => string,
  failed: Promise<string> | undefined,
  signal: AbortSignal,
): Promise<MachineExit> {
  if (identity === null) return { code: null, signal: null, lastWords: (await failed) ?? lastWords() };
  while (!isGone(identity)) {
    await sleep(WATCH_EVERY_MS, undefined, { ref: false, signal }).catch(() => undefined);
    if (signal.aborted) break;
  }
  return { code: null, signal: null, lastWords: lastWords() };
}

async function untilReady(name: string, folder: string, exited: Promise<MachineExit>, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs;
  let exit: MachineExit | undefined;
  void exited.then((ended) => (exit = ended));
  while (!logOf(folder).includes('"ready":true')) {
    if (exit !== undefined) throw new MachineError(`machine ${name} did not start: ${describeExit(exit)}`);
    if (performance.now() > until) throw new MachineError(`machine ${name} did not start in time`);
    await sleep(READY_EVERY_MS);
  }
}

/** The beginning has the ready line, the end the last words. */
function logOf(folder: string): string {
  try {
    const text = readFileSync(join(folder, LOG_NAME), 'utf8');
    return text.length <= 2 * MAX_LOG_BYTES ? text : `${text.slice(0, MAX_LOG_BYTES)}\n${text.slice(-MAX_LOG_BYTES)}`;
  } catch {
    return '';
  }
}

/** CLK_TCK is 100 on every Linux that Node runs on (proc(5), field 22). */
const TICKS_PER_SECOND = 100;

function ageMs({ startTicks }: ProcessIdentity): number {
  const [uptime = '0'] = readFileSync('/proc/uptime', 'utf8').split(' ');
  return Math.max(0, Number(uptime) * 1000 - (startTicks / TICKS_PER_SECOND) * 1000);
}
