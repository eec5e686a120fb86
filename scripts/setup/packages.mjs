// SPDX-License-Identifier: Apache-2.0
// node_modules is what package-lock.json says: npm ci, when the lock file changed or node_modules is missing.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { runQuiet } from './run-quiet.mjs';
import { hashOf, readStamp } from './stamps.mjs';

const stampFile = (root) => path.join(root, 'node_modules', '.boot-stamp');
const wanted = (root) => hashOf({ files: [path.join(root, 'package-lock.json')], base: root });

export function packagesAreCurrent(root) {
  return readStamp(stampFile(root)) === wanted(root);
}

export async function installPackages(root, lock) {
  const hash = wanted(root);
  const [command, args] = npm(root);
  // --include: also where NODE_ENV or the user's configuration leaves development packages out. --ignore-scripts: no
  // package here needs an install script, so none is run. --loglevel: hides the notes of packages that want Node 22,
  // which is what they get.
  const flags = ['--include=dev', '--include=optional', '--ignore-scripts', '--no-audit', '--no-fund'];
  await runQuiet('installing the npm packages', command, [...args, 'ci', ...flags, '--loglevel=error'], {
    cwd: root,
    env: process.env,
    lock,
  });
  writeFileSync(stampFile(root), `${hash}\n`);
}

/** The npm that started us, on the Node that it runs on (ours may be the one in node_modules, soon to be removed). */
function npm(root) {
  const { npm_execpath: script, npm_node_execpath: node } = process.env;
  if (script === undefined || !/^npm(-cli)?\.(c|m)?js$/.test(path.basename(script))) return ['npm', []];
  const candidates = [node, process.execPath].filter((file) => file !== undefined);
  const outside = candidates.find((file) => !file.startsWith(path.join(root, 'node_modules')));
  return outside === undefined ? ['npm', []] : [outside, [script]];
}
