// SPDX-License-Identifier: Apache-2.0
// electron-builder with electron-builder.yml.
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { getConfig } from 'app-builder-lib/out/util/config/config.js';
import { Arch, build, Platform, type FileSet } from 'electron-builder';
import { libraryDependencies } from './libraries.ts';

const root = path.join(import.meta.dirname, '..', '..');
/** What the system's loader loads, beside Electron. */
const binaries = [
  'src-main/machine/native/build/Release/godwit.node',
  'node_modules/better-sqlite3/prebuilds/linux-x64.node',
];

export const targets = ['dir', 'deb', 'AppImage'] as const;
export type Target = (typeof targets)[number];

export interface PackOptions {
  readonly targets: readonly Target[];
  readonly electronDist: string | undefined;
  readonly output: string;
}

/** Packs what is built. Answers the files that it made, or the folder. */
export async function pack({ targets, electronDist, output }: PackOptions): Promise<readonly string[]> {
  // The AppImage holds a file more. It comes first, so that dist/linux-unpacked is in the end what the others hold.
  const [appImage, others] = [targets.filter(isAppImage), targets.filter((target) => !isAppImage(target))];
  const unshare = { from: 'out/linux/appimage-unshare', to: 'usr/sbin/unshare' };
  const { deb } = await getConfig(root, 'electron-builder.yml', null);
  const libraries = libraryDependencies(await Promise.all(binaries.map((name) => readFile(path.join(root, name)))));
  const depends = [...(deb?.depends ?? []), ...libraries];
  const files = [
    ...(appImage.length > 0 ? await packOnce(appImage, [unshare]) : []),
    ...(others.length > 0 ? await packOnce(others, []) : []),
  ];
  return targets.includes('dir') ? [path.join(output, 'linux-unpacked'), ...files] : files;

  function packOnce(those: readonly Target[], extraFiles: FileSet[]): Promise<readonly string[]> {
    return build({
      targets: new Map([[Platform.LINUX, new Map([[Arch.x64, [...those]]])]]),
      publish: 'never',
      config: {
        directories: { output },
        electronDist: electronDist ?? null,
        extraFiles,
        deb: { depends },
        // Electron's own first page. electron-builder takes it out of a downloaded distribution, not out of a folder.
        afterExtract: ({ appOutDir }) => rm(path.join(appOutDir, 'resources', 'default_app.asar'), { force: true }),
      },
    });
  }
}

const isAppImage = (target: Target): boolean => target === 'AppImage';
