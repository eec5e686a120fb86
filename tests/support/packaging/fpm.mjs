#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Stands in for fpm, where electron-builder makes a .deb: takes its arguments, lays out the files, and has the archive
// made by dpkg-deb. An argument that it does not know ends it.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const text = { type: 'string' };
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    source: { ...text, short: 's' },
    target: { ...text, short: 't' },
    depends: { ...text, short: 'd', multiple: true, default: [] },
    'deb-recommends': { ...text, multiple: true, default: [] },
    force: { type: 'boolean' },
    ...Object.fromEntries(
      ['name', 'version', 'architecture', 'maintainer', 'vendor', 'url', 'license', 'category', 'description'].map(
        (name) => [name, text],
      ),
    ),
    ...Object.fromEntries(
      ['package', 'after-install', 'after-remove', 'deb-priority', 'deb-compression'].map((name) => [name, text]),
    ),
  },
});

const tree = mkdtempSync(path.join(tmpdir(), 'godwit-fpm-'));
try {
  for (const mapping of positionals) place(...mapping.split('='));
  mkdirSync(path.join(tree, 'DEBIAN'));
  write('control', control(), 0o644);
  write('postinst', script(values['after-install']), 0o755);
  write('postrm', script(values['after-remove']), 0o755);
  const args = ['--root-owner-group', '-Znone', '--build', tree, values.package];
  const { status } = spawnSync('dpkg-deb', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  process.exitCode = status ?? 1;
} finally {
  rmSync(tree, { recursive: true, force: true });
}

/** As fpm does: a folder's contents into the destination, a file to exactly the destination. */
function place(from, to) {
  if (!existsSync(from)) throw new Error(`File not found: ${from}`);
  if (!statSync(from).isDirectory() && to.endsWith('/')) throw new Error(`a file's destination is a folder: ${to}`);
  const destination = path.join(tree, to);
  mkdirSync(path.dirname(destination), { recursive: true });
  cpSync(from, destination, { recursive: true, preserveTimestamps: true });
}

function control() {
  const lines = [
    `Package: ${values.name}`,
    `Version: ${values.version}`,
    `Architecture: ${values.architecture}`,
    `Maintainer: ${values.maintainer}`,
    `Section: ${values.category}`,
    `Priority: ${values['deb-priority']}`,
    `Homepage: ${values.url}`,
    `Depends: ${values.depends.join(', ')}`,
    `Recommends: ${values['deb-recommends'].join(', ')}`,
    `Description: ${values.description.replaceAll(/\n\s*/g, '\n ')}`,
  ];
  return `${lines.join('\n')}\n`;
}

function script(file) {
  return readFileSync(file, 'utf8');
}

function write(name, content, mode) {
  writeFileSync(path.join(tree, 'DEBIAN', name), content, { mode });
}
