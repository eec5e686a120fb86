// SPDX-License-Identifier: Apache-2.0
/** Stand-ins for what electron-builder makes an AppImage with: they keep the folder that would be compressed. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export function writeAppImageTools(folder: string): void {
  // mksquashfs STAGE OUTPUT OPTION…
  write('mksquashfs', '#!/bin/sh\ncp -a "$1" "${2%.AppImage}.AppDir" && echo squashfs > "$2"\n');
  write('desktop-file-validate', '#!/bin/sh\nexit 0\n');
  write('runtimes/runtime-x64', 'runtime');
  write('lib/x64/none', '');

  function write(name: string, content: string): void {
    const file = join(folder, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    chmodSync(file, 0o755);
  }
}
