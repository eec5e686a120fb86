// SPDX-License-Identifier: Apache-2.0
/** A running migration in words and in a bar. Pure. */
import { distanceToSwitchover, passOneProgress } from '../../manager/demo/migration-watch.ts';
import type { MigrationSample } from '../../manager/demo/types.ts';
import { bar } from './style.ts';

const BAR_CELLS = 24;
/** Where the distance meter ends: the first of these that holds the distance. */
const METER_ENDS = [2, 5, 10, 20, 50] as const;

/** The status of `query-migrate` in words. */
export function phaseOf({ status }: MigrationSample): string {
  switch (status) {
    case 'setup':
      return 'Connecting';
    case 'active':
      return 'Copying memory, the guest runs';
    case 'device':
      return 'Switching over';
    case 'completed':
      return 'Completed';
    default:
      return `Migration: ${status.replace(/[^a-z-]/g, '')}`;
  }
}

/** A percentage in pass 1; later, where it would run backwards, the distance to switchover. */
export function meter(sample: MigrationSample, bars: boolean): string {
  const barred = (part: number, words: string): string => (bars ? `${bar(part, BAR_CELLS)} ${words}` : words);
  const passOne = passOneProgress(sample);
  if (passOne !== undefined) return barred(passOne, `${(passOne * 100).toFixed(0)} %`);
  const distance = distanceToSwitchover(sample);
  if (distance === undefined) return barred(0, 'distance to switchover not known yet');
  const end = METER_ENDS.find((candidate) => distance <= candidate) ?? 50;
  const limit = `${String(sample.downtimeLimitMs)} ms`;
  if (distance <= 1) return barred(distance / end, `what is left fits into a pause of ${limit}`);
  return barred(distance / end, `distance to switchover: ${distance.toFixed(1)} × what fits into ${limit}`);
}
