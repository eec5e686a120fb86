// SPDX-License-Identifier: Apache-2.0
/** Commands that get a machine out of a connection that hangs. Out of band: they must work while the main loop waits. */
import { array, object, str, taggedUnion } from '../../../control/arguments.ts';
import { defineCommand, type CommandTable } from '../../../control/command.ts';
import { QmpError } from '../../../control/protocol.ts';
import { nothing, type CommandTargets } from './targets.ts';

const instance = taggedUnion('type', {
  'block-node': object({ 'node-name': str() }),
  chardev: object({ id: str() }),
  migration: object({}),
});

export function yankCommands({ migrations, monitors }: CommandTargets): CommandTable {
  return {
    'query-yank': defineCommand({
      arguments: nothing,
      oob: true,
      handler: () => [
        ...monitors().map(({ id }) => ({ type: 'chardev', id })),
        ...(migrations.yankable ? [{ type: 'migration' }] : []),
      ],
    }),
    yank: defineCommand({
      arguments: object({ instances: array(instance) }),
      oob: true,
      handler: ({ instances }) => {
        // All of them are there, or nothing is yanked.
        const cuts = instances.map((wanted) => {
          if (wanted.type === 'migration' && migrations.yankable) return () => migrations.yank();
          const monitor = wanted.type === 'chardev' ? monitors().find(({ id }) => id === wanted.id) : undefined;
          if (monitor === undefined) throw new QmpError('DeviceNotFound', 'Instance not found');
          return monitor.drop;
        });
        for (const cut of cuts) cut();
        return undefined;
      },
    }),
  };
}
