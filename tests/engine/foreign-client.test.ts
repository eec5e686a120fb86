// SPDX-License-Identifier: Apache-2.0
// needs: kvm
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const script = fileURLToPath(new URL('./foreign_client.py', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

it('lets a QMP client in another language start two machines by hand and move the guest', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'godwit-foreign-'));
  try {
    const { stdout } = await promisify(execFile)('python3', [script, root, folder], { timeout: 60_000 });
    expect(JSON.parse(stdout)).toMatchObject({
      greeting: { qemu: { major: 8, minor: 2, micro: 0 } },
      source: { status: 'completed', runstate: 'postmigrate' },
      destination: { status: 'completed', runstate: 'running' },
      corrupt: false,
      grew: true,
      exits: [0, 0],
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
