// SPDX-License-Identifier: Apache-2.0
/** Random numbers that a seed repeats (mulberry32). */
export interface Random {
  readonly seed: number;
  /** 0 to 2^32 − 1. */
  word(): number;
  /** 0 to `limit` − 1. */
  below(limit: number): number;
  quad(): bigint;
  chance(): boolean;
  bytes(length: number): Uint8Array;
}

/** `GODWIT_SEED` repeats a failed run; the seed is part of each test's message. */
export function seeded(offset: number): Random {
  const seed = (Number(process.env['GODWIT_SEED'] ?? 20240611) + offset) >>> 0;
  let state = seed;
  const word = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return {
    seed,
    word,
    below: (limit) => word() % limit,
    quad: () => (BigInt(word()) << 32n) | BigInt(word()),
    chance: () => (word() & 1) === 1,
    bytes: (length) => Uint8Array.from({ length }, () => word() & 0xff),
  };
}
