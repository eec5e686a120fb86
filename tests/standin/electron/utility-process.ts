// SPDX-License-Identifier: Apache-2.0
/** Utility processes: children of Node with a port to their parent, which end with it. */
import { spawn, type ChildProcess, type IOType } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { ForkOptions } from 'electron';
import { lifecycle } from './lifecycle.ts';
import { record } from '../record.ts';
import { strict, StrictEmitter } from '../strict.ts';
import type { Conforms } from '../conforms.ts';

const BOOT = join(import.meta.dirname, '..', 'utility-boot.mjs');

export class UtilityProcess extends StrictEmitter {
  protected static override readonly provided = ['spawn', 'exit', 'message'];
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  readonly #child: ChildProcess;
  #pid: number | undefined;

  constructor(child: ChildProcess, { serviceName = 'Node Utility Process' }: ForkOptions, modulePath: string) {
    super();
    this.#child = child;
    this.stdout = child.stdout;
    this.stderr = child.stderr;
    child.once('spawn', () => {
      this.#pid = child.pid;
      record.utilityProcesses.push({ pid: child.pid ?? 0, serviceName, modulePath });
      this.emit('spawn');
    });
    child.on('message', (message) => this.emit('message', message));
    child.once('exit', (code, signal) => {
      this.#pid = undefined;
      this.emit('exit', code ?? constants.signals[signal ?? 'SIGKILL']);
    });
    // Its channel closed in the middle of a message: `exit` tells.
    child.on('error', () => undefined);
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  postMessage(message: unknown, transfer: readonly unknown[] = []): void {
    if (transfer.length > 0) throw new Error('The stand-in transfers no ports to utility processes.');
    if (this.#child.connected) this.#child.send(message as object);
  }

  kill(): boolean {
    return this.#child.kill('SIGTERM');
  }
}

export type CheckedUtilityProcess = Conforms<Pick<Electron.UtilityProcess, 'pid' | 'kill'>, UtilityProcess>;

export const utilityProcess = strict('utilityProcess', {
  fork: (modulePath: string, args: string[] = [], options: ForkOptions = {}) => {
    if (!lifecycle.isReady) throw new Error('utilityProcess cannot be created before app is ready.');
    const execArgv = [...(options.execArgv ?? []), '--import', BOOT];
    const child = spawn(process.execPath, [...execArgv, modulePath, ...args], {
      cwd: options.cwd,
      // process.env as a copy, without what would make it something else than a utility process.
      env: { ...(options.env ?? process.env), ELECTRON_RUN_AS_NODE: '1' },
      stdio: ['ignore', ...outputs(options.stdio), 'ipc'],
      serialization: 'advanced',
    });
    return new UtilityProcess(child, options, modulePath);
  },
});

function outputs(stdio: ForkOptions['stdio']): [IOType, IOType] {
  const [, out = 'inherit', error = 'inherit'] = Array.isArray(stdio) ? stdio : [stdio, stdio, stdio];
  return [out as IOType, error as IOType];
}
