// SPDX-License-Identifier: Apache-2.0
/** As Electron does: what the app forks is Node, although process.execPath names the executable. */
import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';

/** Changes child_process.fork for everybody in this process. */
export function forkAsNode(): void {
  const { fork } = childProcess;
  const forked = (modulePath: string | URL, ...rest: unknown[]): childProcess.ChildProcess => {
    const args = Array.isArray(rest[0]) ? (rest[0] as string[]) : [];
    const options = (Array.isArray(rest[0]) ? rest[1] : rest[0]) as childProcess.ForkOptions | undefined;
    const env = { ...(options?.env ?? process.env), ELECTRON_RUN_AS_NODE: '1' };
    return fork(modulePath, args, { ...options, env });
  };
  childProcess.fork = forked;
  syncBuiltinESMExports();
}
