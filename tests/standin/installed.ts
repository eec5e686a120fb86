// SPDX-License-Identifier: Apache-2.0
/** What the installed `electron` package says of itself; it has come without its runtime. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const manifest = join(import.meta.dirname, '..', '..', 'node_modules', 'electron', 'package.json');
const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };

/** Chromium's real version is known only when it runs; what the app reads is as good as a name. */
export const installedElectron = { version, chrome: `${version.split('.')[0] ?? ''}.0.0.0-stand-in` };
