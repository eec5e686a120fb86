// SPDX-License-Identifier: Apache-2.0
/** The ways from one machine to another, each begun at both ends. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { until } from './machine.ts';
import { listen, type NonePeer } from './none-peer.ts';
import { connectByDescriptor } from './pass-descriptors.ts';

/** `exec`: two commands with a pipe between them. `saved`: a command that writes a file, and one that reads it later. */
export const routes = ['tcp', 'unix', 'fd socket', 'fd pipe', 'exec', 'saved'] as const;
export type Route = (typeof routes)[number];

/** Whether the destination can answer. */
export function hasReturnPath(route: Route): boolean {
  return route === 'tcp' || route === 'unix' || route === 'fd socket';
}

/**
 * Begins a migration; `folder` is for what lies between the ends, and empty. A `saved` guest is read back only when the
 * source has let go of it, and not at all where it has not.
 */
export async function begin(route: Route, source: NonePeer, destination: NonePeer, folder: string): Promise<void> {
  switch (route) {
    case 'tcp':
    case 'unix':
      await source.link.execute('migrate', { uri: await listen(destination, route) });
      return;
    case 'fd socket':
    case 'fd pipe': {
      const ends = { source: source.userMonitor, destination: destination.userMonitor };
      await connectByDescriptor(ends, route === 'fd pipe' ? 'pipe' : 'socket');
      return;
    }
    case 'exec': {
      const pipe = join(folder, 'pipe');
      execFileSync('mkfifo', [pipe]);
      await destination.link.execute('migrate-incoming', { uri: `exec:cat < ${pipe}` });
      await source.link.execute('migrate', { uri: `exec:cat > ${pipe}` });
      return;
    }
    case 'saved':
      await source.link.execute('migrate', { uri: `exec:gzip -1 > ${join(folder, 'guest.gz')}` });
  }
}

/** What is left to do for a `saved` guest; nothing for any other route. */
export async function fetchSaved(route: Route, source: NonePeer, destination: NonePeer, folder: string): Promise<void> {
  if (route !== 'saved') return;
  await until(
    'guest saved by a command',
    () => source.link.migration(),
    ({ info }) => info.status === 'completed' || info.status === 'failed',
  );
  await destination.link.execute('migrate-incoming', { uri: `exec:gzip -dc < ${join(folder, 'guest.gz')}` });
}
