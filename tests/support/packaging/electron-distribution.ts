// SPDX-License-Identifier: Apache-2.0
/** What electron-builder takes for an unpacked Electron. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Marks the fuses in Electron's executable: it is the same in every release (@electron/fuses). */
const FUSE_SENTINEL = 'dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX';
const FUSE_VERSION = 1;
/** One more than @electron/fuses knows, as in Electron 45. Each the other way round than we want it. */
export const initialFuses = '001110111';

/** `extracted` will hold what is in the archive: a Node reads no asar. */
export function writeElectronDistribution(folder: string, extracted: string): void {
  for (const name of ['locales', 'resources']) mkdirSync(join(folder, name), { recursive: true });
  // Electron's own first page, which has no place in a package.
  const others = ['resources/default_app.asar', 'locales/en-US.pak', 'chrome-sandbox'];
  const licences = ['LICENSE', 'LICENSES.chromium.html', 'version'];
  for (const name of [...others, ...licences]) writeFileSync(join(folder, name), `${name} of the stand-in\n`);
  writeFileSync(join(folder, 'electron'), executable(extracted), 'latin1');
  chmodSync(join(folder, 'electron'), 0o755);
}

function executable(extracted: string): string {
  const wire = String.fromCharCode(FUSE_VERSION, initialFuses.length) + initialFuses;
  return `#!/bin/sh
# ${FUSE_SENTINEL}${wire}
[ "$ELECTRON_RUN_AS_NODE" = 1 ] || { echo "window: $*"; exit 0; }
program=$1
shift
exec '${process.execPath}' '${extracted}'/"\${program#*/app.asar/}" "$@"
`;
}
