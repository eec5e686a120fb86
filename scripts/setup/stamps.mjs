// SPDX-License-Identifier: Apache-2.0
// A stamp is a file that holds the hash of what a result was made from: equal hashes, nothing to do.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** Hash over texts and over files with their names; a directory stands for every file below it. */
export function hashOf({ texts = [], files = [], base }) {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${text}\0`);
  for (const file of files.flatMap(filesBelow)) {
    hash
      .update(`${path.relative(base, file)}\0`)
      .update(readFileSync(file))
      .update('\0');
  }
  return hash.digest('hex');
}

/** The stamp's text, or null where there is none. */
export function readStamp(file) {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  }
}

function filesBelow(start) {
  if (!statSync(start).isDirectory()) return [start];
  return readdirSync(start, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => filesBelow(path.join(start, entry.name)));
}
