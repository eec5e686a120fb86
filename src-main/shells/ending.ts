// SPDX-License-Identifier: Apache-2.0
/** What ends with the app or the server and what stays, as a sentence. */
import type { CallOutput } from '../../src-shared/contract.ts';

type Machines = CallOutput<'machines.list'>['machines'];
type Runs = CallOutput<'runs.active'>['runs'];

/** Undefined where nothing that runs would end. */
export function endingSentence(machines: Machines, runs: Runs): string | undefined {
  const live = machines.filter(({ pid }) => pid !== null);
  const named = (lifetime: string): string[] =>
    live.filter(({ settings }) => settings.lifetime === lifetime).map(({ settings }) => settings.name);
  const ends = named('attached');
  const stays = named('detached');
  if (ends.length === 0 && runs.length === 0) return undefined;
  return [
    runs.length > 0 &&
      `This cancels ${runs.length === 1 ? 'the migration that is' : `the ${String(runs.length)} migrations that are`} under way.`,
    ends.length > 0 && `This ends ${ends.join(', ')}.`,
    stays.length > 0 && `${stays.join(', ')} ${stays.length === 1 ? 'stays' : 'stay'}.`,
  ]
    .filter((sentence) => sentence !== false)
    .join(' ');
}
