// SPDX-License-Identifier: Apache-2.0
/** The descriptors that this process was started with. Looked at when the module is loaded: later ones are its own. */
import { fstatSync, readdirSync, type Stats } from 'node:fs';

const FIRST_BEYOND_STDIO = 3;
const inherited = new Set(findInherited());

/** Whether whoever started the process gave it this descriptor, beyond the three of every process. */
export function isInherited(descriptor: number): boolean {
  return inherited.has(descriptor);
}

/**
 * Node has closed-on-exec set on all of them by now, its own and those that it was given. Its own are event descriptors
 * and pipes to itself, of which it has both ends; it has no socket yet.
 */
function findInherited(): number[] {
  const open = readdirSync('/proc/self/fd')
    .map(Number)
    .filter((descriptor) => descriptor >= FIRST_BEYOND_STDIO)
    .flatMap((descriptor) => {
      const stats = statsOf(descriptor);
      return stats === undefined ? [] : [{ descriptor, stats }];
    });
  const ends = (inode: number): number => open.filter(({ stats }) => stats.isFIFO() && stats.ino === inode).length;
  return open
    .filter(({ stats }) => isKnownKind(stats) && !(stats.isFIFO() && ends(stats.ino) > 1))
    .map(({ descriptor }) => descriptor);
}

/** The directory that is being read is listed, too, and gone by now. */
function statsOf(descriptor: number): Stats | undefined {
  try {
    return fstatSync(descriptor);
  } catch {
    return undefined;
  }
}

function isKnownKind(stats: Stats): boolean {
  return stats.isSocket() || stats.isFIFO() || stats.isFile() || stats.isCharacterDevice();
}
