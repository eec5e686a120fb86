// SPDX-License-Identifier: Apache-2.0
// electron-builder with electron-builder.yml.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Arch, build, Platform } from 'electron-builder';

export const targets = ['dir', 'deb', 'AppImage'] as const;
export type Target = (typeof targets)[number];

export interface PackOptions {
  readonly targets: readonly Target[];
  readonly electronDist: string | undefined;
  readonly output: string;
}

/** Packs what is built. Answers the files that it made, or the folder. */
export async function pack({ targets, electronDist, output }: PackOptions): Promise<readonly string[]> {
  const files = await build({
    targets: new Map([[Platform.LINUX, new Map([[Arch.x64, [...targets]]])]]),
    publish: 'never',
    config: {
      directories: { output },
      electronDist: electronDist ?? null,
      // Electron's own first page. electron-builder takes it out of a downloaded distribution, not out of a folder.
      afterExtract: ({ appOutDir }) => rm(path.join(appOutDir, 'resources', 'default_app.asar'), { force: true }),
    },
  });
  return targets.includes('dir') ? [path.join(output, 'linux-unpacked'), ...files] : files;
}
