// SPDX-License-Identifier: Apache-2.0
/** Finds out which app is meant: a folder with a package.json, or a file. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { AppInfo } from './host.ts';

interface Manifest {
  readonly name?: string;
  readonly productName?: string;
  readonly version?: string;
  readonly main?: string;
}

/** Throws where there is no such app. */
export function readApp(named: string): AppInfo {
  const given = resolve(named);
  const isFolder = statSync(given).isDirectory();
  const path = isFolder ? given : dirname(given);
  const manifest = readManifest(path, isFolder);
  const { name = 'Electron', productName = name, version = '', main = 'index.js' } = manifest;
  return { path, main: isFolder ? join(path, main) : given, name: productName, version };
}

function readManifest(folder: string, isRequired: boolean): Manifest {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
  } catch (error) {
    if (isRequired) throw error;
    return {};
  }
}
