// SPDX-License-Identifier: Apache-2.0
/** Machine `none` moved between Godwit and a stock QEMU in both directions, and its RAM compared bit for bit. */
import { describe, expect, it } from 'vitest';
import {
  describeMove,
  directions,
  isPossible,
  largeMoves,
  moveAndCompare,
  moveFactors,
  patienceMs,
} from '../support/none-move.ts';
import type { Direction, MoveOptions } from '../support/none-move.ts';
import { fullProduct, pairwiseRows } from '../support/pairwise.ts';
import { qemuVersion } from '../support/qemu.ts';
import { seeded, type Random } from '../unit/control/random.ts';

const seed = Number(process.env['GODWIT_SEED'] ?? Date.now() % 1_000_000);

/** Every pair of values for one direction. */
function rowsFor(direction: Direction, random: Random): MoveOptions[] {
  return pairwiseRows(moveFactors, random, (row) => isPossible({ direction, ...row })).map((row) => ({
    direction,
    ...row,
  }));
}

/** Adds rows whose source is written to until they are half. */
function halfWriting(rows: readonly MoveOptions[], random: Random): MoveOptions[] {
  const more = [...rows];
  const writing = fullProduct(moveFactors, (row) => row.source === 'writing' && row.memoryMiB < 256);
  while (2 * more.filter((row) => row.source === 'writing').length < more.length) {
    const row = writing[random(writing.length)];
    if (row !== undefined) more.push({ direction: 'godwit → qemu', ...row });
  }
  return more;
}

function allRows(random: Random): MoveOptions[] {
  return [
    ...halfWriting(rowsFor('godwit → qemu', random), random),
    ...rowsFor('qemu → godwit', random),
    ...rowsFor('godwit → godwit', random),
    ...largeMoves(1024),
  ];
}

const rows = allRows(seeded(seed));
const version = qemuVersion();

describe(`machine none moved over ${rows.length} pairwise chosen rows (GODWIT_SEED=${seed}, QEMU ${version ?? 'absent'})`, () => {
  it('in at most 60 moves, half of those to QEMU while memory is written', () => {
    expect(rows.length).toBeLessThanOrEqual(60);
    expect(new Set(rows.map((row) => row.direction))).toEqual(new Set(directions));
    const toQemu = rows.filter((row) => row.direction === 'godwit → qemu');
    expect(2 * toQemu.filter((row) => row.source === 'writing').length).toBeGreaterThanOrEqual(toQemu.length);
  });

  for (const row of rows) {
    it(describeMove(row), { timeout: 2 * patienceMs(row) }, async ({ skip }) => {
      if (version === undefined && row.direction !== 'godwit → godwit') skip('no QEMU is installed');
      await moveAndCompare(row, seed);
    });
  }
});
