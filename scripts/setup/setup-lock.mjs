// SPDX-License-Identifier: Apache-2.0
// One set-up at a time in a checkout. The lock is the kernel's (flock(2)): no process can leave it behind. Node has no
// call for it, so util-linux's flock locks our descriptor: the lock belongs to the open file, which we share with it.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isEnding, trackChild } from './children.mjs';
import { SetupError } from './setup-error.mjs';

const TELL_AFTER_MS = 300;

/**
 * Runs `work(lock)` while no other process holds the lock of this checkout. `lock` is a descriptor: a child that
 * inherits it keeps the lock while it lives, also when we are killed.
 */
export async function withSetupLock(root, work) {
  const file = path.join(root, 'build', '.setup-lock');
  mkdirSync(path.dirname(file), { recursive: true });
  const lock = openSync(file, 'a+');
  const tell = setTimeout(() => console.error(`godwit: waiting for another set-up${owner(file)} …`), TELL_AFTER_MS);
  try {
    await take(lock).finally(() => clearTimeout(tell));
    writeFileSync(file, String(process.pid)); // for those who wait
    return await work(lock);
  } finally {
    closeSync(lock);
  }
}

function take(lock) {
  return new Promise((resolve, reject) => {
    const flock = trackChild(
      spawn('flock', ['--exclusive', '3'], { stdio: ['ignore', 'ignore', 'inherit', lock], detached: true }),
    );
    flock.on('error', () => reject(new SetupError('"flock" is missing. Install it: sudo apt install util-linux')));
    flock.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new SetupError(isEnding() ? 'interrupted.' : 'the lock of the set-up could not be taken.'));
    });
  });
}

function owner(file) {
  const pid = readFileSync(file, 'utf8').trim();
  return pid === '' ? '' : ` of this checkout (process ${pid})`;
}
