// SPDX-License-Identifier: Apache-2.0
/** Godwit's own commands; none is needed to drive a plain migration. */
import { array, int, object, oneOf, optional, str, uint, uint64 } from '../../../control/arguments.ts';
import { defineCommand, type CommandTable } from '../../../control/command.ts';
import { MIGRATION_MODES } from '../../../../src-shared/migration/parameters.ts';
import { plainText } from '../../../../src-shared/plain-text.ts';
import { native } from '../../native/index.ts';
import { paceIntervalNs } from '../../vm/guest/pace.ts';
import { Refusal } from '../refusal.ts';
import { nothing, type CommandTargets } from './targets.ts';

export function godwitCommands({ machine, migrations }: CommandTargets): CommandTable {
  return {
    'x-godwit-migration-phase': defineCommand({ arguments: nothing, handler: () => ({ ...migrations.phase() }) }),
    'x-godwit-add-blocker': defineCommand({
      arguments: object({ reason: str(), modes: optional(array(oneOf(MIGRATION_MODES))) }),
      handler: ({ reason, modes }) => {
        if (reason.trim() === '') throw new Refusal("Parameter 'reason' expects a sentence that says what blocks");
        return { id: migrations.blockers.add(plainText(reason), modes) };
      },
    }),
    'x-godwit-remove-blocker': defineCommand({
      arguments: object({ id: int() }),
      handler: ({ id }) => {
        if (!migrations.blockers.remove(Number(id))) throw new Refusal(`There is no blocker with the id ${String(id)}`);
        return undefined;
      },
    }),
    'x-godwit-serial-tail': defineCommand({
      arguments: nothing,
      handler: () => ({ text: machine.vcpus?.serialTail ?? '' }),
    }),
    'x-godwit-dirty': defineCommand({
      arguments: object({
        'pages-per-second': uint(32),
        'working-set': optional(uint64()),
        seed: optional(uint64()),
      }),
      handler: async ({ 'pages-per-second': pagesPerSecond, 'working-set': workingSet, seed }) => {
        const { writer } = machine;
        if (writer === undefined) {
          throw new Refusal('x-godwit-dirty needs machine none: what runs on the vCPUs of a microvm is its guest');
        }
        await writer.setLoad({
          pagesPerSecond,
          workingSetBytes: workingSet === undefined ? undefined : Number(workingSet),
          seed: seed === undefined ? undefined : BigInt(seed),
        });
        return { 'pages-written': writer.pagesWritten };
      },
    }),
    'x-godwit-heartbeats': defineCommand({
      arguments: nothing,
      handler: () => ({
        vcpus: (machine.vcpus?.heartbeats ?? []).map((beat) => ({
          vcpu: beat.vcpu,
          count: beat.count,
          'first-generation': beat.firstGeneration,
          generation: beat.generation,
          'first-ns': beat.firstNs,
          'last-ns': beat.lastNs,
          'longest-gap-ns': beat.longestGapNs,
          'longest-gap-end-ns': beat.longestGapEndNs,
        })),
        'pace-interval-ns': paceIntervalNs(machine.vcpus?.count ?? 1),
        'monotonic-ns': native.monotonicNs(),
      }),
    }),
  };
}
