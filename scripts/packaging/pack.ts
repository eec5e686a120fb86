// SPDX-License-Identifier: Apache-2.0
// electron-builder with electron-builder.yml.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Arch, build, Platform, type FileSet } from 'electron-builder';

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
        // Electron's own first page. electron-builder takes it out of a downloaded distribution, not out of a folder.
        afterExtract: ({ appOutDir }) => rm(path.join(appOutDir, 'resources', 'default_app.asar'), { force: true }),
      },
    });
  }
}

const isAppImage = (target: Target): boolean => target === 'AppImage';
