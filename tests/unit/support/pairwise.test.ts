// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { fullProduct, pairsOf, pairwiseRows, type Factors, type RowOf } from '../../support/pairwise.ts';
import { seeded } from '../control/random.ts';

const factors = { a: ['x', 'y', 'z'], b: [1, 2, 3], c: [true, false], d: [true, false], e: ['p', 'q'] } as const;

/** Tables of two to six factors with one to four values each. */
function randomFactors(random: (below: number) => number): Factors {
  const count = 2 + random(5);
  return Object.fromEntries(
    Array.from({ length: count }, (_, factor) => [
      `f${factor}`,
      Array.from({ length: 1 + random(4) }, (_value, value) => value),
    ]),
  );
}

function pairsOfAll(rows: readonly Readonly<Record<string, unknown>>[]): Set<string> {
  return new Set(rows.flatMap((row) => pairsOf(row)));
}

describe('the full product', () => {
  it('holds every combination once, the last factor changing fastest', () => {
    const rows = fullProduct({ a: [1, 2], b: ['x', 'y', 'z'] } as const);
    expect(rows.map(({ a, b }) => `${a}${b}`)).toEqual(['1x', '1y', '1z', '2x', '2y', '2z']);
  });

  it('leaves out what is not allowed', () => {
    expect(fullProduct({ a: [1, 2], b: [1, 2] } as const, ({ a, b }) => a !== b)).toEqual([
      { a: 1, b: 2 },
      { a: 2, b: 1 },
    ]);
  });

  it('refuses a table whose product is out of reach', () => {
    const many = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`f${n}`, [1, 2, 3, 4]]));
    expect(() => fullProduct(many)).toThrow('1048576 combinations are more than 20000');
  });
});

describe('a pairwise covering set', () => {
  const seeds = Array.from({ length: 40 }, (_, seed) => seed);

  it.each(seeds)('holds every pair of a random table that an allowed row can hold (seed %i)', (seed) => {
    const random = seeded(seed);
    const table = randomFactors(random);
    const forbidden = random(3);
    const allowed = (row: RowOf<Factors>): boolean => !(row['f0'] === forbidden && row['f1'] === 0);
    const rows = pairwiseRows(table, random, allowed);
    expect(pairsOfAll(rows)).toEqual(pairsOfAll(fullProduct(table, allowed)));
    expect(rows.every(allowed)).toBe(true);
  });

  it('is small: not many more rows than the two largest factors need by themselves', () => {
    for (const seed of seeds) {
      const { length } = pairwiseRows(factors, seeded(seed));
      expect(length).toBeGreaterThanOrEqual(9);
      expect(length).toBeLessThanOrEqual(13);
    }
  });

  it('is the same for the same random numbers and differs with them', () => {
    expect(pairwiseRows(factors, seeded(5))).toEqual(pairwiseRows(factors, seeded(5)));
    expect(pairwiseRows(factors, seeded(5))).not.toEqual(pairwiseRows(factors, seeded(6)));
  });

  it('of a table with one factor, or where nothing is allowed, has nothing to cover', () => {
    expect(pairwiseRows({ a: [1, 2] }, seeded(1))).toEqual([]);
    expect(pairwiseRows(factors, seeded(1), () => false)).toEqual([]);
  });
});
