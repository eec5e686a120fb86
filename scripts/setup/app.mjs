// SPDX-License-Identifier: Apache-2.0
// Builds the desktop app when its sources changed: only where an Electron runtime is there to run it.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { node24, toolEnvironment } from './node24.mjs';
import { runQuiet } from './run-quiet.mjs';
import { hashOf, readStamp } from './stamps.mjs';

const out = (root) => path.join(root, 'out', 'app');
const stampFile = (root) => path.join(root, 'out', '.app-stamp');

/** As the package `electron` finds it: the variable's folder, or the one that it downloads into. */
export function hasDesktopRuntime(root) {
  const folder = process.env.ELECTRON_OVERRIDE_DIST_PATH ?? path.join(root, 'node_modules', 'electron', 'dist');
  return existsSync(path.join(folder, 'electron'));
}

export function appIsCurrent(root) {
  return readStamp(stampFile(root)) === wanted(root) && existsSync(path.join(out(root), 'src-main', 'main.js'));
}

/** `lock` may be left out by whoever holds none. */
export async function buildApp(root, lock) {
  const hash = wanted(root);
  rmSync(stampFile(root), { force: true });
  const script = path.join(root, 'scripts', 'build-app.mjs');
  await runQuiet('building the desktop app', node24(root).node, [script], {
    cwd: root,
    env: toolEnvironment(root),
    lock: lock ?? 'ignore',
  });
  writeFileSync(stampFile(root), `${hash}\n`);
}

function wanted(root) {
  const names = ['main.ts', 'control', 'manager', 'shells', 'machine/main.ts', 'machine/host', 'machine/vm'];
  const machine = ['machine/engine', 'machine/inspect', 'machine/native/index.ts'];
  const files = [...names, ...machine].map((name) => path.join(root, 'src-main', name));
  const others = ['src-shared', 'assets/icons', 'scripts/build-app.mjs', 'package.json', 'package-lock.json'];
  return hashOf({ files: [...files, ...others.map((name) => path.join(root, name))].filter(existsSync), base: root });
}
