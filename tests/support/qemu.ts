// SPDX-License-Identifier: Apache-2.0
/** A stock QEMU with machine `none` as a peer: one process, driven over QMP like a machine of ours. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MachineLink } from '../../src-main/manager/machines/link.ts';
import { makeRunFolder } from '../../src-main/manager/paths.ts';

export const QEMU = '/usr/bin/qemu-system-x86_64';

/** What is kept of its stderr. */
const maxStderrBytes = 16 * 1024;

export interface QemuOptions {
  readonly memoryBytes: number;
  /** A file of exactly that size that becomes its RAM, shared: what QEMU writes there is in the file. */
  readonly ramFile?: string;
  /** Waits for a guest (`-incoming defer`). */
  readonly incoming?: boolean;
  /** `-S`: a source is stopped, a destination stays stopped until `cont`. */
  readonly paused?: boolean;
  readonly uuid?: string;
  /** Properties of the migration object that are switched off. */
  readonly leaveOut?: readonly string[];
  /** A second monitor, as every machine of Godwit has. */
  readonly secondMonitor?: boolean;
  /** Neither sends nor expects the description at the end of a stream. */
  readonly suppressVmdesc?: boolean;
}

export interface QemuExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Not disposed of yet: whatever way this process exits, none outlives it. */
const undisposed = new Set<QemuProcess>();
process.once('exit', () => {
  for (const qemu of undisposed) qemu.destroy();
});

export class QemuProcess implements AsyncDisposable {
  /** Private folder with its socket; removed by dispose(). */
  readonly folder: string;
  readonly exited: Promise<QemuExit>;
  readonly #child: ChildProcess;
  #link: MachineLink | undefined;
  #stderr = '';

  private constructor(options: QemuOptions) {
    this.folder = makeRunFolder();
    this.#child = spawn(QEMU, qemuArguments(options, this.#socket), { stdio: ['ignore', 'ignore', 'pipe'] });
    undisposed.add(this);
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-maxStderrBytes);
    });
    this.exited = new Promise((resolve) => {
      this.#child.once('error', () => {
        resolve({ code: null, signal: null });
      });
      this.#child.once('close', (code, signal) => {
        resolve({ code, signal });
      });
    });
  }

  /** Starts it and connects; nothing is left behind when that fails. */
  static async start(options: QemuOptions): Promise<QemuProcess> {
    const qemu = new QemuProcess(options);
    try {
      const ended = new AbortController();
      void qemu.exited.then(({ code }) => {
        ended.abort(new Error(`QEMU ended with ${String(code)} before it could be asked: ${qemu.stderr}`));
      });
      qemu.#link = await MachineLink.connect(qemu.#socket, ended.signal);
      return qemu;
    } catch (error) {
      await qemu.dispose();
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Path of the second monitor. */
  get userMonitor(): string {
    return `${this.#socket}.user`;
  }

  get link(): MachineLink {
    if (this.#link === undefined) throw new Error('QEMU is used before it was connected');
    return this.#link;
  }

  /** What it complained about, the newest at the end. */
  get stderr(): string {
    return this.#stderr.trim();
  }

  /** Ends the process and removes its folder. May be called again. */
  async dispose(): Promise<void> {
    this.#link?.close();
    this.#child.kill('SIGKILL');
    await this.exited;
    await rm(this.folder, { recursive: true, force: true });
    undisposed.delete(this);
  }

  /** The same without waiting, for the end of this process. */
  destroy(): void {
    this.#child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  get #socket(): string {
    return join(this.folder, 'qmp.sock');
  }
}

function qemuArguments(options: QemuOptions, socket: string): string[] {
  const { memoryBytes, ramFile, incoming, paused, suppressVmdesc } = options;
  const machine = ['none'];
  if (suppressVmdesc === true) machine.push('suppress-vmdesc=on');
  const args = ['-nodefaults', '-display', 'none', '-qmp', `unix:${socket},server=on,wait=off`];
  for (const part of options.leaveOut ?? []) args.push('-global', `migration.${part}=off`);
  if (options.uuid !== undefined) args.push('-uuid', options.uuid);
  if (options.secondMonitor === true) args.push('-qmp', `unix:${socket}.user,server=on,wait=off`);
  args.push('-m', `size=${memoryBytes / 1024}k`);
  if (ramFile !== undefined) {
    // The backend's id is the name of the RAM block in the stream.
    machine.push('memory-backend=ram');
    args.push('-object', `memory-backend-file,id=ram,size=${memoryBytes},mem-path=${ramFile},share=on`);
  }
  args.push('-M', machine.join(','));
  if (incoming === true) args.push('-incoming', 'defer');
  if (paused === true) args.push('-S');
  return args;
}

/** The release as it reports it, such as `7.2.22`; undefined where no QEMU is installed. */
export function qemuVersion(): string | undefined {
  if (!existsSync(QEMU)) return undefined;
  const { stdout } = spawnSync(QEMU, ['--version'], { encoding: 'utf8' });
  return /version (\d+\.\d+\.\d+)/.exec(stdout)?.[1];
}
