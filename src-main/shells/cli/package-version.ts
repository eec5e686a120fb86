// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';

/** Version of the package that this file belongs to. */
export function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
}
