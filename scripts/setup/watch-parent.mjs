// SPDX-License-Identifier: Apache-2.0
const POLL_MS = 500;

/**
 * Calls `onGone` once when the process that started us has died: `npm start` passes a signal on to nobody but its
 * shell, and a SIGKILL to it reaches no one. Never keeps the process alive. Answers a function that ends the watch.
 */
export function watchParent(onGone) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, POLL_MS);
  timer.unref();
  return () => clearInterval(timer);
}
