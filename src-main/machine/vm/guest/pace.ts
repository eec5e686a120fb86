// SPDX-License-Identifier: Apache-2.0

/** Batches a second of all vCPUs together, at least: each is a heartbeat. */
const batchesPerSecondInAll = 1000;

/** Batches a second of one vCPU. */
export function batchesPerSecond(vcpus: number): number {
  return Math.ceil(batchesPerSecondInAll / vcpus);
}

/**
 * Time between two batches of one vCPU, nanoseconds. It follows from the number of vCPUs alone, so that the pace needs
 * no migrated state: a destination keeps it without being told what guest will arrive.
 */
export function paceIntervalNs(vcpus: number): number {
  return Math.round(1e9 / batchesPerSecond(vcpus));
}
