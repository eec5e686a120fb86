// SPDX-License-Identifier: Apache-2.0

/** Repeatable random integers in 0..below-1 (mulberry32). */
export type Random = (below: number) => number;

export function seeded(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Bytes cut at random places, empty pieces included. */
export function chunksOf(bytes: Uint8Array, random: Random): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    const size = random(4) === 0 ? random(64) : random(4);
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}
