// SPDX-License-Identifier: Apache-2.0
/** How long the manager waits for a machine, and why. Milliseconds. */
export const deadlines = {
  /** From spawn to listening sockets, apart from memory: Node, the addon, the VM; generous for a busy box. */
  machineReady: 20_000,
  /** A machine touches all of its memory before it is ready: at 100 MB/s on a box whose own memory is slow to come. */
  machineReadyPerGiB: 10_000,
  /** A machine asked to end by SIGTERM is killed after this. */
  machineEnd: 2_000,
  /** The reply of a QMP command that does no long work. */
  command: 10_000,
  /** `migrate_cancel` until the source says `cancelled`. */
  cancel: 5_000,
  /**
   * An app that closes: until its runs have ended, cancelled or by themselves. What has not by then is left as it is, as
   * if the app had died, and settled by the next start.
   */
  closeRuns: 10_000,
  /** The source's `completed` until the destination runs by itself; after it the manager sends `cont`. */
  takeover: 2_000,
  /** `cont` until the destination runs. */
  takeoverAfterCont: 10_000,
  /** No byte moved and no pass ended for this long: the migration hangs. */
  noProgress: 30_000,
  /** `--probe` of a machine process. */
  probe: 15_000,
} as const;

/** Between two looks at a migration: ten a second. */
export const SAMPLE_INTERVAL_MS = 100;
