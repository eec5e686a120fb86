// SPDX-License-Identifier: Apache-2.0
/**
 * A stock QEMU in the benchmark, on machine `none`. Its memory is touched before the transfer, as Godwit's is, so that
 * first-touch faults are in no figure. Where the loader device puts the image, QEMU keeps a second copy of it: that costs
 * memory, not time.
 */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { plainText } from '../../../src-shared/plain-text.ts';
import { deadlines } from '../deadlines.ts';
import { MachineLink } from '../machines/link.ts';
import { makeRunFolder } from '../paths.ts';
import type { BenchEnd, Contestant, EndOptions } from './contestant.ts';
import { BenchError } from './types.ts';

/**
 * `anonymous` is what `-m SIZE` gives, and what the kernel may back with huge pages; `memfd` is shared memory like
 * Godwit's.
 */
export type QemuMemory = 'anonymous' | 'memfd';

const MIB = 1024 ** 2;
const MAX_STDERR = 4096;

/** QEMUs not disposed of yet: whatever way this process exits, none outlives it and no folder stays. */
const undisposed = new Set<{ readonly child: ChildProcess; readonly folder: string }>();
process.once('exit', () => {
  for (const { child, folder } of undisposed) {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Asks the program for its version. Throws a {@link BenchError} when it cannot be run or is no QEMU. */
export async function qemuContestant(program: string, memory: QemuMemory): Promise<Contestant> {
  const version = await qemuVersion(program);
  const name = `QEMU ${version}${memory === 'memfd' ? ' (memfd)' : ''}`;
  return { name, startEnd: (options) => startEnd(program, memory, options) };
}

async function qemuVersion(program: string): Promise<string> {
  let text: string;
  try {
    ({ stdout: text } = await promisify(execFile)(program, ['--version'], { timeout: deadlines.probe }));
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new BenchError('FAILED', `cannot run ${plainText(program)} (${plainText(reason, 100)}): is QEMU installed?`, {
      cause: error,
    });
  }
  const version = /^QEMU emulator version (\d+(?:\.\d+)*)/.exec(text)?.[1];
  if (version === undefined) throw new BenchError('FAILED', `${plainText(program)} does not answer as QEMU does`);
  return version;
}

/** The command line of one end. */
export function qemuArguments(memory: QemuMemory, options: Omit<EndOptions, 'signal'>, qmpPath: string): string[] {
  const size = `${String(options.memoryBytes / MIB)}M`;
  const args = ['-nodefaults', '-display', 'none', '-S', '-qmp', `unix:${qmpPath},server=on,wait=off`, '-m', size];
  if (memory === 'memfd') {
    args.push('-object', `memory-backend-memfd,id=ram,size=${size},share=on,prealloc=on`);
    args.push('-machine', 'none,memory-backend=ram');
  } else {
    args.push('-machine', 'none', '-mem-prealloc');
  }
  // A comma ends a property; twice it stands for itself.
  const image = options.image?.replaceAll(',', ',,');
  if (image !== undefined) args.push('-device', `loader,file=${image},addr=0,force-raw=on`);
  if (options.role === 'destination') args.push('-incoming', 'defer');
  return args;
}

async function startEnd(program: string, memory: QemuMemory, options: EndOptions): Promise<BenchEnd> {
  const { role, memoryBytes, signal } = options;
  signal.throwIfAborted();
  const folder = makeRunFolder();
  const qmpPath = join(folder, 'qmp.sock');
  const child = spawn(program, qemuArguments(memory, options, qmpPath), {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true, // Ctrl-C in a terminal reaches the manager alone
  });
  const entry = { child, folder };
  undisposed.add(entry);
  const exited = once(child, 'close').catch(() => undefined);
  const failure = watchEnd(child, exited, role);
  const dispose = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
    undisposed.delete(entry);
  };
  try {
    const patienceMs = deadlines.machineReady + (memoryBytes / 1024 ** 3) * deadlines.machineReadyPerGiB;
    const link = await Promise.race([MachineLink.connect(qmpPath, signal, patienceMs), failure]);
    return {
      pid: child.pid ?? -1,
      link,
      folder,
      failure,
      dispose: async () => {
        link.close();
        await dispose();
      },
    };
  } catch (error) {
    await dispose();
    signal.throwIfAborted();
    throw error;
  }
}

/** Rejects when the process ends, with what it said last. */
function watchEnd(child: ChildProcess, exited: Promise<unknown>, role: string): Promise<never> {
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-MAX_STDERR);
  });
  const failure = exited.then((): never => {
    const words = plainText(stderr.trim().split('\n').at(-1) ?? '');
    throw new BenchError('FAILED', `QEMU as the ${role} ended${words === '' ? '' : `: ${words}`}`);
  });
  failure.catch(() => undefined); // whoever waits for it hears of it
  return failure;
}
