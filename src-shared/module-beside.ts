// SPDX-License-Identifier: Apache-2.0
/** Modules that are started rather than imported: as a process or a worker of their own. */

/**
 * The address of another module of ours, from a module's own `import.meta.url` and a path without extension. The same
 * tree is run as TypeScript from a checkout and as JavaScript from the packaged app: both modules are of one kind.
 */
export function moduleBeside(url: string, path: string): URL {
  return new URL(path + url.slice(url.lastIndexOf('.')), url);
}
