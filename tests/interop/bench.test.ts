// SPDX-License-Identifier: Apache-2.0
/** The page path beside QEMU's, measured in one run: it must not fall far behind unnoticed. */
import { delimiter, join } from 'node:path';
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { godwitContestant } from '../../src-main/manager/bench/godwit-contestant.ts';
import { qemuContestant } from '../../src-main/manager/bench/qemu-contestant.ts';
import { benchRows } from '../../src-main/manager/bench/rows.ts';
import { runBench } from '../../src-main/manager/bench/runner.ts';

const QEMU = 'qemu-system-x86_64';
/** On a quiet box the median is above 1 (docs/benchmarks.md); what is below this is no noise. */
const LOWEST_RATIO = 0.7;
const PAIRS = 3;

it(`random RAM over tcp is moved at no less than ${LOWEST_RATIO} times the speed of QEMU`, async ({ skip }) => {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  if (!folders.some((folder) => existsSync(join(folder, QEMU))))
    skip(`no QEMU is installed: apt install qemu-system-x86`);
  const [row] = benchRows({ quick: false, pairs: PAIRS });
  if (row === undefined) throw new Error('there is no row');
  const result = await runBench({
    quick: false,
    rows: [row],
    godwit: godwitContestant('here'),
    peers: [await qemuContestant(QEMU, 'anonymous')],
    signal: AbortSignal.timeout(240_000),
    onProgress: () => undefined,
  });
  const [comparison] = result.rows[0]?.comparisons ?? [];
  if (comparison === undefined) throw new Error('nothing was compared');
  const { median, min, max } = comparison.speed;
  process.stdout.write(
    `${row.id}, ${PAIRS} pairs: Godwit : ${comparison.peer} ${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)}), limit ${LOWEST_RATIO}\n`,
  );
  expect(median).toBeGreaterThanOrEqual(LOWEST_RATIO);
}, 250_000);
