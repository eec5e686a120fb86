// SPDX-License-Identifier: Apache-2.0
/** Tests never write into the user's own history: they and whatever they start have a home of their own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function setup(): () => void {
  const home = mkdtempSync(join(tmpdir(), 'gw-'));
  process.env['GODWIT_HOME'] = home;
  return () => {
    rmSync(home, { recursive: true, force: true });
  };
}
