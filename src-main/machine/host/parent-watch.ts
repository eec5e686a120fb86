// SPDX-License-Identifier: Apache-2.0
import { connect, Socket } from 'node:net';

/** Names the descriptor whose end means that the process which started this machine is gone. */
export const PARENT_FD_VARIABLE = 'GODWIT_PARENT_FD';
/** Names the socket that does the same, where a process cannot be given a descriptor. */
export const PARENT_SOCKET_VARIABLE = 'GODWIT_PARENT_SOCKET';

let watched: number | undefined;

/** The descriptor that is watched: nobody else may use it. */
export function watchedDescriptor(): number | undefined {
  return watched;
}

/**
 * An attached machine ends with its parent, also when the parent is killed: the parent holds the other end of a pipe
 * or connection and never writes to it. Without the variables (a machine started by hand, a detached one) nothing is
 * watched.
 */
export function endWithParent(): void {
  const parent = connectionToParent();
  if (parent === undefined) return;
  parent.once('close', () => process.kill(process.pid, 'SIGTERM'));
  parent.on('error', () => undefined); // a close follows
  parent.on('end', () => parent.destroy());
  parent.resume();
  parent.unref();
}

function connectionToParent(): Socket | undefined {
  const descriptor = taken(PARENT_FD_VARIABLE);
  const path = taken(PARENT_SOCKET_VARIABLE);
  if (descriptor !== undefined) {
    watched = Number(descriptor);
    return new Socket({ fd: watched, readable: true, writable: false });
  }
  return path === undefined ? undefined : connect(path);
}

/** A variable's value, which what this process starts does not inherit. */
function taken(variable: string): string | undefined {
  const text = process.env[variable];
  delete process.env[variable];
  return text;
}
