// SPDX-License-Identifier: Apache-2.0
/** Every combination of what a move of machine `none` can be like; the short test covers its pairs. */
import { describe, it } from 'vitest';
import { describeMove, directions, isPossible, largeMoves, moveAndCompare, moveFactors } from '../support/none-move.ts';
import { fullProduct } from '../support/pairwise.ts';
import { qemuVersion } from '../support/qemu.ts';

const seed = Number(process.env['GODWIT_SEED'] ?? Date.now() % 1_000_000);
const version = qemuVersion();

describe.each(directions)(`every move %s (GODWIT_SEED=${seed}, QEMU ${version ?? 'absent'})`, (direction) => {
  const rows = [
    ...fullProduct(moveFactors, (row) => isPossible({ direction, ...row })).map((row) => ({ direction, ...row })),
    ...largeMoves(4096).filter((row) => row.direction === direction),
  ];

  it.for(rows.map((row) => [describeMove(row), row] as const))('%s', async ([, row], { skip }) => {
    if (version === undefined && direction !== 'godwit → godwit') skip('no QEMU is installed');
    await moveAndCompare(row, seed);
  });
});
