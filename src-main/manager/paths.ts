// SPDX-License-Identifier: Apache-2.0
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** The folder for sockets cannot be used. The message names it and says what to do. */
export class RuntimeDirError extends Error {
  readonly code = 'RUNTIME_DIR';
  override readonly name = 'RuntimeDirError';
}

export interface PathEnvironment {
  readonly GODWIT_HOME?: string | undefined;
  readonly XDG_RUNTIME_DIR?: string | undefined;
  readonly XDG_DATA_HOME?: string | undefined;
  readonly XDG_CONFIG_HOME?: string | undefined;
}

/** Longest file name that is put into a machine's own folder below the runtime folder. */
const LONGEST_SOCKET_NAME = '/vm-4194304-XXXXXX/migration.sock';
/** sun_path of a unix socket holds 108 bytes with its final NUL. */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Where sockets live: `$GODWIT_HOME/run`, else `$XDG_RUNTIME_DIR/godwit`, else `/tmp/godwit-UID`. Only names it;
 * relative values of the variables are ignored, as the XDG specification asks.
 */
export function runtimeDirPath(env: PathEnvironment, uid: number): string {
  if (env.GODWIT_HOME !== undefined && isAbsolute(env.GODWIT_HOME)) return join(env.GODWIT_HOME, 'run');
  if (env.XDG_RUNTIME_DIR !== undefined && isAbsolute(env.XDG_RUNTIME_DIR)) return join(env.XDG_RUNTIME_DIR, 'godwit');
  return `/tmp/godwit-${String(uid)}`;
}

/**
 * Where the history is kept: `$GODWIT_HOME/data`, else `$XDG_DATA_HOME/godwit`, else `~/.local/share/godwit`. Only names
 * it; relative values are ignored, as for the runtime folder.
 */
export function dataDirPath(env: PathEnvironment = process.env, home: string = homedir()): string {
  if (env.GODWIT_HOME !== undefined && isAbsolute(env.GODWIT_HOME)) return join(env.GODWIT_HOME, 'data');
  if (env.XDG_DATA_HOME !== undefined && isAbsolute(env.XDG_DATA_HOME)) return join(env.XDG_DATA_HOME, 'godwit');
  return join(home, '.local', 'share', 'godwit');
}

/**
 * Where the desktop app keeps its own settings (the window's place): `$GODWIT_HOME/config`, else
 * `$XDG_CONFIG_HOME/godwit`, else `~/.config/godwit`. Only names it; relative values are ignored, as above.
 */
export function configDirPath(env: PathEnvironment = process.env, home: string = homedir()): string {
  if (env.GODWIT_HOME !== undefined && isAbsolute(env.GODWIT_HOME)) return join(env.GODWIT_HOME, 'config');
  if (env.XDG_CONFIG_HOME !== undefined && isAbsolute(env.XDG_CONFIG_HOME)) return join(env.XDG_CONFIG_HOME, 'godwit');
  return join(home, '.config', 'godwit');
}

/** The store's file. */
export function dataFilePath(env: PathEnvironment = process.env): string {
  return join(dataDirPath(env), 'godwit.db');
}

/** Creates the runtime folder (mode 0700) and checks that it is a folder of this user alone. Answers its path. */
export function ensureRuntimeDir(env: PathEnvironment = process.env, uid: number = process.getuid?.() ?? 0): string {
  const path = runtimeDirPath(env, uid);
  if (Buffer.byteLength(path + LONGEST_SOCKET_NAME) > MAX_SOCKET_PATH_BYTES) {
    throw new RuntimeDirError(
      `the runtime folder ${path} is too long for unix sockets: set GODWIT_HOME or XDG_RUNTIME_DIR to a shorter path`,
    );
  }
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RuntimeDirError(
      `the runtime folder ${path} cannot be created (${reason}): set GODWIT_HOME to a folder of yours`,
    );
  }
  const stat = lstatSync(path);
  if (!stat.isDirectory() || stat.uid !== uid) {
    throw new RuntimeDirError(
      `${path} is not a folder of this user: remove it, or set GODWIT_HOME to a folder of yours`,
    );
  }
  if ((stat.mode & 0o777) !== 0o700) chmodSync(path, 0o700);
  return path;
}

/**
 * A fresh private folder (mode 0700) below the runtime folder. The caller removes it; where the caller was killed before
 * it could, the next call does.
 */
export function makeRunFolder(env: PathEnvironment = process.env): string {
  const runtimeDir = ensureRuntimeDir(env);
  removeAbandonedFolders(runtimeDir);
  return mkdtempSync(join(runtimeDir, `vm-${String(process.pid)}-`));
}

/** A folder's name holds the process that made it. A number that is in use again only keeps the folder longer. */
function removeAbandonedFolders(runtimeDir: string): void {
  for (const name of readdirSync(runtimeDir)) {
    const owner = /^vm-(\d+)-/.exec(name)?.[1];
    if (owner !== undefined && !processExists(Number(owner))) {
      rmSync(join(runtimeDir, name), { recursive: true, force: true });
    }
  }
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}
