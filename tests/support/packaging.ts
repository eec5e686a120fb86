// SPDX-License-Identifier: Apache-2.0
/**
 * The app as `npm run dist` packs it, without a network: Electron's distribution, fpm and the tools for AppImages are
 * stand-ins, electron-builder is real.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { extractAll } from '@electron/asar';
import { writeAppImageTools } from './packaging/appimage-tools.ts';
import { writeElectronDistribution } from './packaging/electron-distribution.ts';

const root = join(import.meta.dirname, '..', '..');
const run = promisify(execFile);

export interface PackedApp {
  /** The folder that holds app.asar. */
  readonly resources: string;
  /** The stand-in for Electron's executable, with the fuses set: a Node when ELECTRON_RUN_AS_NODE is 1. */
  readonly executable: string;
  /** What is in app.asar and beside it, as a folder. */
  readonly extracted: string;
  /** The .deb, where it was asked for. */
  readonly deb: string | undefined;
  /** The folder that an AppImage mounts, where it was asked for. */
  readonly appDir: string | undefined;
  dispose(): void;
}

/** Runs `npm run dist` into a temporary folder. */
export async function packApp(targets: readonly ('deb' | 'AppImage')[] = []): Promise<PackedApp> {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-package-'));
  const dispose = (): void => {
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const [distribution, output, extracted] = ['electron', 'dist', 'extracted'].map((name) => join(folder, name));
    const tools = join(folder, 'appimage-tools');
    writeElectronDistribution(distribution!, extracted!);
    writeAppImageTools(tools);
    const args = ['dir', ...targets].flatMap((target) => ['--target', target]);
    const env = {
      ...process.env,
      PATH: `${join(root, 'node_modules', '.bin')}:${process.env['PATH'] ?? ''}`,
      CUSTOM_FPM_PATH: join(import.meta.dirname, 'packaging', 'fpm.mjs'),
      APPIMAGE_TOOLS_PATH: tools,
    };
    const script = join(root, 'scripts', 'dist.mjs');
    await run(process.execPath, [script, ...args, '--electron-dist', distribution!, '--output', output!], { env });
    const unpacked = join(output!, 'linux-unpacked');
    const resources = join(unpacked, 'resources');
    mkdirSync(extracted!);
    extractAll(join(resources, 'app.asar'), extracted!);
    const made = (ending: string): string | undefined => {
      const name = readdirSync(output!).find((file) => file.endsWith(ending));
      return name === undefined ? undefined : join(output!, name);
    };
    const executable = join(unpacked, 'godwit-desktop');
    return { resources, executable, extracted: extracted!, deb: made('.deb'), appDir: made('.AppDir'), dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
