// SPDX-License-Identifier: Apache-2.0
// npm run dist: builds the app and the files around it, and packs them. See docs/install.md.
import path from 'node:path';
import { parseArgs } from 'node:util';
import { missingDownloads } from './downloads.ts';
import { writeLinuxFiles } from './linux-files.ts';
import { packagingFailure } from './failure.ts';
import { pack, targets, type Target } from './pack.ts';

const usage = `usage: npm run dist -- [--dir | --target ${targets.join('|')}…] [--electron-dist DIR] [--output DIR]`;

interface Choice {
  readonly targets: readonly Target[];
  /** An unpacked Electron distribution to take instead of a downloaded one. */
  readonly electronDist: string | undefined;
  readonly output: string;
}

/** Makes the packages; `buildApp` fills out/app. Answers the exit code. */
export async function main(args: readonly string[], buildApp: () => Promise<unknown>): Promise<number> {
  const choice = chosen(args);
  if (choice === null) {
    console.error(usage);
    return 2;
  }
  try {
    // Asked first: electron-builder would try again and again for most of a minute before it says anything.
    const missing = await missingDownloads(choice);
    if (missing !== null) throw new Error(missing);
    // electron-builder and fpm take paths from the root.
    process.chdir(path.join(import.meta.dirname, '..', '..'));
    await buildApp();
    writeLinuxFiles();
    const packed = await pack(choice);
    for (const file of packed) console.log(path.relative('', file));
    return 0;
  } catch (error) {
    console.error(`godwit: ${packagingFailure(error)}`);
    if (process.env['GODWIT_DEBUG'] === '1') console.error(error);
    return 1;
  }
}

function chosen(args: readonly string[]): Choice | null {
  try {
    const options = {
      dir: { type: 'boolean' },
      target: { type: 'string', multiple: true },
      'electron-dist': { type: 'string' },
      output: { type: 'string' },
    } as const;
    const { values } = parseArgs({ args: [...args], options });
    const wanted = values.dir === true ? ['dir'] : (values.target ?? ['deb', 'AppImage']);
    const known = targets.filter((target) => wanted.includes(target));
    if (known.length !== new Set(wanted).size || (values.dir === true && values.target !== undefined)) return null;
    const folder = values['electron-dist'];
    return {
      targets: known,
      electronDist: folder === undefined ? undefined : path.resolve(folder),
      output: path.resolve(values.output ?? path.join(import.meta.dirname, '..', '..', 'dist')),
    };
  } catch {
    return null; // parseArgs refuses what is not an option of ours
  }
}
