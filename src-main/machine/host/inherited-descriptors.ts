// SPDX-License-Identifier: Apache-2.0
/** The descriptors that this process was started with. Looked at when the module is loaded: later ones are its own. */
import { fstatSync, readdirSync, readFileSync, type Stats } from 'node:fs';
import { watchedDescriptor } from './parent-watch.ts';

const FIRST_BEYOND_STDIO = 3;
const inherited = new Set(findInherited());

/**
 * Whether whoever started the process gave it this descriptor, beyond the three of every process and the one that tells
 * of its parent's end. From here on the caller's: asked again, the answer is no, since the number may be another file's.
 */
export function takeInherited(descriptor: number): boolean {
  return descriptor !== watchedDescriptor() && inherited.delete(descriptor);
}

/**
 * Node has closed-on-exec set on all of them by now, its own and those that it was given. Its own are event descriptors
 * and pipes to itself, of which it has either end; it has no socket yet.
 */
function findInherited(): number[] {
  const open = readdirSync('/proc/self/fd')
    .map(Number)
    .filter((descriptor) => descriptor >= FIRST_BEYOND_STDIO)
    .flatMap((descriptor) => {
      const stats = statsOf(descriptor);
      return stats === undefined ? [] : [{ descriptor, stats, writes: isWritable(descriptor) }];
    });
  const ends = (inode: number): number =>
    new Set(open.filter((end) => isPipe(end.stats, inode)).map(({ writes }) => writes)).size;
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

/** By the access mode, the last two bits of what proc(5) has as `flags`, octal. */
function isWritable(descriptor: number): boolean {
  const info = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8');
  return !/^flags:\s*[0-7]*[04]$/m.test(info);
}

function isPipe(stats: Stats, inode: number): boolean {
  return stats.isFIFO() && stats.ino === inode;
}

function isKnownKind(stats: Stats): boolean {
  return stats.isSocket() || stats.isFIFO() || stats.isFile() || stats.isCharacterDevice();
}
