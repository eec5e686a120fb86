// SPDX-License-Identifier: Apache-2.0
// The steps of the bootstrap in order; see ../boot.mjs.
import { constants } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonIsCurrent, buildAddon } from './addon.mjs';
import { appIsCurrent, buildApp, hasDesktopRuntime } from './app.mjs';
import { endChildren } from './children.mjs';
import { handOver } from './hand-over.mjs';
import { installPackages, packagesAreCurrent } from './packages.mjs';
import { buildRenderer, rendererIsCurrent } from './renderer.mjs';
import { SetupError } from './setup-error.mjs';
import { withSetupLock } from './setup-lock.mjs';
import { watchParent } from './watch-parent.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Sets the checkout up and runs a script in it. Answers the exit code. */
export async function main([script, ...args]) {
  if (script === undefined) {
    console.error('usage: node scripts/boot.mjs SCRIPT [ARGUMENT…]');
    return 2;
  }
  const interruption = interruptOnSignals();
  try {
    await makeReady();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`godwit: ${error.message}`);
    if (interruption.exitCode === null) return 1;
  } finally {
    interruption.ignore();
  }
  if (interruption.exitCode !== null) return interruption.exitCode;
  return await handOver(root, path.resolve(root, script), args);
}

async function makeReady() {
  // Checked without the lock first: the usual start finds everything in place and must not cost a process.
  const needsApp = () => hasDesktopRuntime(root) && !appIsCurrent(root);
  if (!packagesAreCurrent(root) || !addonIsCurrent(root) || !rendererIsCurrent(root) || needsApp()) {
    await withSetupLock(root, async (lock) => {
      if (!packagesAreCurrent(root)) await installPackages(root, lock);
      if (!addonIsCurrent(root)) await buildAddon(root, lock);
      if (!rendererIsCurrent(root)) await buildRenderer(root, lock);
      if (needsApp()) await buildApp(root, lock);
    });
  }
  await assembleGuest();
}

/** Skips itself while the image is newer than its sources; needs no lock, since it replaces the image by a rename. */
async function assembleGuest() {
  const { buildGuest, GuestBuildError } = await import('../build-guest.mjs');
  try {
    await buildGuest(root);
  } catch (error) {
    throw error instanceof GuestBuildError ? new SetupError(error.message) : error;
  }
}

/** A signal or the death of our parent ends npm and the compiler too; the step under way then fails. */
function interruptOnSignals() {
  const interruption = { exitCode: null };
  const interrupt = (exitCode) => {
    interruption.exitCode ??= exitCode;
    endChildren();
  };
  const handlers = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => {
    const handler = () => interrupt(128 + constants.signals[signal]);
    process.on(signal, handler);
    return () => process.off(signal, handler);
  });
  const unwatch = watchParent(() => interrupt(128 + constants.signals.SIGHUP));
  interruption.ignore = () => [...handlers, unwatch].forEach((off) => off());
  return interruption;
}
