// SPDX-License-Identifier: Apache-2.0
// The files around the app that a package puts into the system's folders, in out/linux: electron-builder.yml says where
// each goes. Modes are set here, whatever the checkout's are.
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { bashCompletion } from '../manual/bash-completion.ts';
import { documentedProgram } from '../manual/documented-program.ts';
import { manPage } from '../manual/man-page.ts';

const root = path.join(import.meta.dirname, '..', '..');
const METAINFO = 'io.godwit.Godwit.metainfo.xml';

/** Replaces what is in `out`. */
export function writeLinuxFiles(out: string = path.join(root, 'out', 'linux')): void {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const program = documentedProgram();
  write('godwit.1.gz', gzipSync(manPage(program), { level: 9 }));
  write('godwit.bash', bashCompletion(program));
  copy(path.join('assets', 'linux', 'godwit'), 'godwit', 0o755);
  copy(path.join('assets', 'linux', 'appimage-unshare'), 'appimage-unshare', 0o755);
  copy(path.join('assets', 'linux', METAINFO), METAINFO, 0o644);
  copy(path.join('assets', 'linux', 'copyright'), 'copyright', 0o644);

  function write(name: string, content: string | Buffer): void {
    writeFileSync(path.join(out, name), content);
    chmodSync(path.join(out, name), 0o644);
  }

  function copy(from: string, name: string, mode: number): void {
    copyFileSync(path.join(root, from), path.join(out, name));
    chmodSync(path.join(out, name), mode);
  }
}
