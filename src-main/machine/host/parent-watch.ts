// SPDX-License-Identifier: Apache-2.0
import { Socket } from 'node:net';

/** Names the descriptor whose end means that the process which started this machine is gone. */
export const PARENT_FD_VARIABLE = 'GODWIT_PARENT_FD';

let watched: number | undefined;

/** The descriptor that is watched: nobody else may use it. */
export function watchedDescriptor(): number | undefined {
  return watched;
}

/**
 * An attached machine ends with its parent, also when the parent is killed: the parent holds the other end of a pipe
 * and never writes to it. Without the variable (a machine started by hand, a detached one) nothing is watched.
 */
export function endWithParent(): void {
  const text = process.env[PARENT_FD_VARIABLE];
  if (text === undefined) return;
  delete process.env[PARENT_FD_VARIABLE];
  watched = Number(text);
  const pipe = new Socket({ fd: watched, readable: true, writable: false });
  const end = (): void => {
    process.kill(process.pid, 'SIGTERM');
  };
  pipe.on('end', end);
  pipe.on('error', end);
  pipe.resume();
  pipe.unref();
}
