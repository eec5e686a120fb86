// SPDX-License-Identifier: Apache-2.0
// The processes that the set-up has started. Each leads a process group of its own (spawned detached), so that an
// interrupt reaches make's compilers too; endChildren stands in for the terminal's Ctrl-C.
const KILL_AFTER_MS = 3000;

const children = new Set();
let ending = false;

/** Remembers a child, spawned detached, until it exits. */
export function trackChild(child) {
  if (child.pid === undefined) return child;
  children.add(child);
  child.once('exit', () => children.delete(child));
  if (ending) signalGroup(child, 'SIGTERM');
  return child;
}

/** Whether endChildren was called: nothing new is to be started. */
export function isEnding() {
  return ending;
}

/** Ends every child, and each that is started later. Those that wait for a child see it fail. */
export function endChildren() {
  ending = true;
  for (const child of children) signalGroup(child, 'SIGTERM');
  setTimeout(() => {
    for (const child of children) signalGroup(child, 'SIGKILL');
  }, KILL_AFTER_MS).unref();
}

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}
