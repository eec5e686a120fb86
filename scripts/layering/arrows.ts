// SPDX-License-Identifier: Apache-2.0
// Who may import whom. The lint rule and the layering test both read this table.
import { isBuiltin } from 'node:module';
import path from 'node:path';

interface Layer {
  /** Folder or file that belongs to the layer. Of several that match a file, the longest counts. */
  readonly path: string;
  /** Layers that it may import besides itself. */
  readonly imports: readonly LayerName[];
  /** What else it may not import: `node` stands for every built-in module, a name for a package and its subpaths. */
  readonly packages: { readonly deny: readonly string[] };
}

export type LayerName =
  'shared' | 'renderer' | 'entry' | 'shells' | 'electron' | 'manager' | 'control' | 'host' | 'vm' | 'engine' | 'native';

const ui = ['vue', 'pinia'];
const deny = { packages: { deny: [...ui, 'electron'] } };

export const layers: Readonly<Record<LayerName, Layer>> = {
  // The vocabulary: runs anywhere.
  shared: { path: 'src-shared', imports: [], packages: { deny: ['node', 'electron', ...ui] } },
  renderer: { path: 'src-renderer', imports: ['shared'], packages: { deny: ['node', 'electron'] } },
  entry: { path: 'src-main/main.ts', imports: ['shared', 'shells', 'electron'], packages: { deny: ui } },
  electron: {
    path: 'src-main/shells/electron',
    imports: ['shared', 'control', 'manager', 'shells', 'host'],
    packages: { deny: ui },
  },
  shells: {
    path: 'src-main/shells',
    imports: ['shared', 'control', 'manager', 'host', 'vm', 'engine'],
    ...deny,
  },
  // The two wings: they meet in the control protocol only.
  manager: { path: 'src-main/manager', imports: ['shared', 'control'], ...deny },
  control: { path: 'src-main/control', imports: ['shared'], ...deny },
  // Inside the machine: host → vm → engine → native.
  host: { path: 'src-main/machine', imports: ['shared', 'control', 'vm', 'engine', 'native'], ...deny },
  vm: { path: 'src-main/machine/vm', imports: ['shared', 'engine', 'native'], ...deny },
  engine: { path: 'src-main/machine/engine', imports: ['shared', 'native'], ...deny },
  native: { path: 'src-main/machine/native', imports: ['shared'], ...deny },
};

/** Layer of a file, by its path from the root of the repository; null for tests, scripts and configuration. */
export function layerOf(file: string): LayerName | null {
  let found: LayerName | null = null;
  for (const name of Object.keys(layers) as LayerName[]) {
    const { path: folder } = layers[name];
    const isInside = file === folder || file.startsWith(`${folder}/`);
    if (isInside && (found === null || folder.length > layers[found].path.length)) found = name;
  }
  return found;
}

/**
 * Why a file may not import what `specifier` names, as a sentence; null where it may.
 * `file` is a path from the root of the repository.
 */
export function refusal(file: string, specifier: string): string | null {
  const from = layerOf(file);
  if (from === null) return null;
  if (!specifier.startsWith('.')) return refusedPackage(from, specifier);
  const target = path.posix.join(path.posix.dirname(file), specifier);
  const to = layerOf(target);
  if (to === from) return null;
  if (to === null) return `${from} (${layers[from].path}) may not import ${target}, which belongs to no layer.`;
  if (layers[from].imports.includes(to)) return null;
  const allowed = layers[from].imports.length === 0 ? 'nothing of ours' : layers[from].imports.join(', ');
  return `${from} (${layers[from].path}) may not import ${to} (${layers[to].path}); it may import ${allowed}.`;
}

function refusedPackage(from: LayerName, specifier: string): string | null {
  const denied = layers[from].packages.deny.find((name) =>
    name === 'node' ? isBuiltin(specifier) : specifier === name || specifier.startsWith(`${name}/`),
  );
  return denied === undefined ? null : `${from} (${layers[from].path}) may not import ${specifier}.`;
}
