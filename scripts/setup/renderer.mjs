// SPDX-License-Identifier: Apache-2.0
// Builds the screens when their sources, or the packages that they are built from, changed.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { node24, toolEnvironment } from './node24.mjs';
import { runQuiet } from './run-quiet.mjs';
import { hashOf, readStamp } from './stamps.mjs';

const out = (root) => path.join(root, 'out', 'renderer');
const stampFile = (root) => path.join(root, 'out', '.renderer-stamp');

export function rendererIsCurrent(root) {
  return readStamp(stampFile(root)) === wanted(root) && existsSync(path.join(out(root), 'index.html'));
}

export async function buildRenderer(root, lock) {
  const hash = wanted(root);
  rmSync(stampFile(root), { force: true });
  const script = path.join(root, 'scripts', 'build-renderer.mjs');
  await runQuiet('building the screens', node24(root).node, [script], { cwd: root, env: toolEnvironment(root), lock });
  writeFileSync(stampFile(root), `${hash}\n`);
}

function wanted(root) {
  const names = ['src-renderer', 'src-shared', 'scripts/build-renderer.mjs', 'package-lock.json'];
  return hashOf({ files: names.map((name) => path.join(root, name)), base: root });
}
