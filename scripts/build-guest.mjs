// SPDX-License-Identifier: Apache-2.0
// Assembles the demo guest: assets/demo-guest/*.s → build/demo-guest.bin, a flat image for guest address 0x2000.
// Does nothing while the image is newer than every source. Needs as, ld and objcopy (Debian package binutils).
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const sourceDir = path.join(root, 'assets', 'demo-guest');
const buildDir = path.join(root, 'build');
const image = path.join(buildDir, 'demo-guest.bin');

/** Thrown with a sentence for the user. */
export class GuestBuildError extends Error {
  name = 'GuestBuildError';
}

/** Builds the image where it is missing or old. Returns its path and whether anything was done. */
export function buildGuest() {
  if (isCurrent()) return { image, built: false };
  mkdirSync(buildDir, { recursive: true });
  // A directory of its own and a rename at the end: two builds at once never see each other's halves.
  const work = mkdtempSync(path.join(buildDir, '.demo-guest-'));
  try {
    const object = path.join(work, 'demo-guest.o');
    const linked = path.join(work, 'demo-guest.elf');
    const flat = path.join(work, 'demo-guest.bin');
    run('as', ['--64', '--fatal-warnings', '-I', sourceDir, '-o', object, path.join(sourceDir, 'demo-guest.s')]);
    run('ld', ['-nostdlib', '-static', '-T', path.join(sourceDir, 'demo-guest.ld'), '-o', linked, object]);
    run('objcopy', ['-O', 'binary', linked, flat]);
    renameSync(flat, image);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return { image, built: true };
}

function isCurrent() {
  const built = statSync(image, { throwIfNoEntry: false });
  if (built === undefined) return false;
  const sources = readdirSync(sourceDir).map((name) => path.join(sourceDir, name));
  return sources.every((source) => statSync(source).mtimeMs < built.mtimeMs);
}

function run(tool, args) {
  const result = spawnSync(tool, args, { encoding: 'utf8' });
  if (result.error?.code === 'ENOENT') {
    throw new GuestBuildError(
      `The demo guest cannot be assembled: "${tool}" is missing. Install binutils (Debian: apt install binutils).`,
    );
  }
  if (result.error !== undefined) throw new GuestBuildError(`"${tool}" cannot be run: ${result.error.message}`);
  if (result.status !== 0) throw new GuestBuildError(`"${tool}" failed on the demo guest:\n${result.stderr.trim()}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const { built } = buildGuest();
    if (built) console.log('demo guest assembled');
  } catch (error) {
    if (!(error instanceof GuestBuildError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
