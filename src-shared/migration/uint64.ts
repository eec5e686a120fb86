// SPDX-License-Identifier: Apache-2.0

/** An unsigned 64-bit integer: a number while that is exact (up to 2^53 - 1), a bigint beyond. */
export type Uint64 = number | bigint;

/**
 * Brings an integer into 0..2^64-1 as QMP does: a negative one wraps (-1 is 18446744073709551615). `undefined` when it is
 * not an integer, or is outside -2^63..2^64-1.
 */
export function toUint64(value: number | bigint): Uint64 | undefined {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) return undefined;
    if (value >= 0) return value;
  }
  const wide = BigInt(value);
  if (wide < -(2n ** 63n) || wide >= 2n ** 64n) return undefined;
  const unsigned = BigInt.asUintN(64, wide);
  return unsigned <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(unsigned) : unsigned;
}
