// SPDX-License-Identifier: Apache-2.0
// What electron-builder will have to download, and whether it can: each with the way around it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import type { PackOptions } from './pack.ts';

interface Download {
  /** Subject of "cannot be downloaded". */
  readonly what: string;
  readonly from: string;
  readonly remedy: string;
  /** There from an earlier time, or given by the user. */
  readonly present: boolean;
}

export type DownloadEnvironment = Readonly<Record<string, string | undefined>>;
/** Whether a server answers at all. */
export type Reachable = (url: string) => Promise<boolean>;

const GITHUB = 'https://github.com';
const ANSWER_WITHIN_MS = 10_000;

/** A sentence with the remedy for the first download that is needed and cannot be had; else null. */
export async function missingDownloads(
  options: PackOptions,
  env: DownloadEnvironment = process.env,
  reachable: Reachable = answers,
): Promise<string | null> {
  // Behind a proxy only the downloader itself can tell.
  if (['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'].some((name) => (env[name] ?? '') !== '')) return null;
  for (const { what, from, remedy, present } of downloads(options, env)) {
    if (!present && !(await reachable(from))) {
      return `${what} cannot be downloaded: ${new URL(from).host} does not answer. ${remedy}`;
    }
  }
  return null;
}

function downloads({ targets, electronDist }: PackOptions, env: DownloadEnvironment): readonly Download[] {
  const cache = env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  const builderCache = env['ELECTRON_BUILDER_CACHE'] ?? path.join(cache, 'electron-builder');
  const tools = mirror(env, 'ELECTRON_BUILDER_BINARIES_MIRROR') ?? GITHUB;
  const version = electronVersion();
  const archive = `electron-v${version}-linux-x64.zip`;
  const electron = {
    what: `The runtime of Electron ${version}`,
    from: mirror(env, 'ELECTRON_MIRROR') ?? GITHUB,
    remedy:
      `Unpack ${archive} of Electron's release page into a folder and give it with --electron-dist DIR, ` +
      'or set ELECTRON_MIRROR to a server that this box reaches.',
    present: electronDist !== undefined || holds(env['electron_config_cache'] ?? path.join(cache, 'electron'), archive),
  };
  const fpm = {
    what: 'fpm, which makes the .deb,',
    from: tools,
    remedy: 'Install fpm and set USE_SYSTEM_FPM=true, or pack a plain folder with --dir.',
    present:
      env['USE_SYSTEM_FPM'] === 'true' || env['CUSTOM_FPM_PATH'] !== undefined || holdsFolder(builderCache, 'fpm@'),
  };
  const appImage = {
    what: 'What makes an AppImage',
    from: tools,
    remedy: 'Make the .deb alone with --target deb, or a plain folder with --dir.',
    present: env['APPIMAGE_TOOLS_PATH'] !== undefined || holdsFolder(builderCache, 'appimage@'),
  };
  return [electron, ...(targets.includes('deb') ? [fpm] : []), ...(targets.includes('AppImage') ? [appImage] : [])];
}

const mirror = (env: DownloadEnvironment, name: string): string | undefined =>
  [env[name], env[`npm_config_${name.toLowerCase()}`]].find((url) => url !== undefined && URL.canParse(url));

/** The folder keeps a file by this name, at any depth. */
const holds = (folder: string, name: string): boolean =>
  existsSync(folder) &&
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).some((file) => path.basename(file) === name);

const holdsFolder = (folder: string, prefix: string): boolean =>
  existsSync(folder) && readdirSync(folder).some((name) => name.startsWith(prefix));

function electronVersion(): string {
  const file = path.join(import.meta.dirname, '..', '..', 'node_modules', 'electron', 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
}

async function answers(url: string): Promise<boolean> {
  try {
    await fetch(url, { method: 'HEAD', redirect: 'manual', signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    return true;
  } catch {
    return false;
  }
}
