// SPDX-License-Identifier: Apache-2.0
/** Folders by the names that app.getPath knows. */
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { host } from '../host.ts';

const set = new Map<string, string>();

export function getPath(name: string): string {
  const path = set.get(name) ?? defaultPath(name);
  if (path === undefined) throw new Error(`Failed to get '${name}' path`);
  return path;
}

export function setPath(name: string, path: string): void {
  set.set(name, path);
}

function defaultPath(name: string): string | undefined {
  const appData = process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config');
  const userData = host.switches.get('user-data-dir') ?? join(set.get('appData') ?? appData, host.app.name);
  const paths: Readonly<Record<string, string>> = {
    home: homedir(),
    appData,
    userData,
    sessionData: set.get('userData') ?? userData,
    logs: join(set.get('userData') ?? userData, 'logs'),
    temp: tmpdir(),
    exe: host.executable,
    module: host.executable,
    desktop: join(homedir(), 'Desktop'),
    documents: join(homedir(), 'Documents'),
    downloads: join(homedir(), 'Downloads'),
  };
  return paths[name];
}
