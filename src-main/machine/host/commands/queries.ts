// SPDX-License-Identifier: Apache-2.0
/** What is asked of vCPUs and memory. */
import { int, object, str } from '../../../control/arguments.ts';
import { defineCommand, type CommandTable } from '../../../control/command.ts';
import type { Machine } from '../../vm/machine.ts';
import { blockRange } from '../../vm/memory-layout.ts';
import { Refusal } from '../refusal.ts';
import { nothing, type CommandTargets } from './targets.ts';

export function machineQueries({ machine }: CommandTargets): CommandTable {
  return {
    'query-cpus-fast': defineCommand({
      arguments: nothing,
      handler: () =>
        (machine.vcpus?.threadIds ?? []).map((threadId, index) => ({
          'cpu-index': index,
          'qom-path': `/machine/unattached/device[${index}]`,
          'thread-id': threadId,
          target: 'x86_64',
          props: { 'socket-id': index, 'core-id': 0, 'thread-id': 0 },
        })),
    }),
    'query-memory-size-summary': defineCommand({
      arguments: nothing,
      handler: () => ({
        'base-memory': machine.ramBlocks.reduce((sum, block) => sum + block.sizeBytes, 0),
        'plugged-memory': 0,
      }),
    }),
    pmemsave: defineCommand({
      arguments: object({ val: int(), size: int(), filename: str() }),
      handler: async ({ val, size, filename }) => {
        await savePhysicalMemory(machine, Number(val), Number(size), filename);
        return undefined;
      },
    }),
  };
}

async function savePhysicalMemory(machine: Machine, address: number, size: number, filename: string): Promise<void> {
  const [block] = machine.ramBlocks;
  const range = size > 0 && address >= 0 ? blockRange(machine.slots, address, size) : undefined;
  if (block === undefined || range === undefined) {
    throw new Refusal(`Invalid addr 0x${Math.max(0, address).toString(16)}/size ${size} specified: it is not all RAM`);
  }
  await block.memory.dump(filename, range.offset, range.length).catch((error: unknown) => {
    throw new Refusal(error instanceof Error ? error.message : String(error));
  });
}
