// SPDX-License-Identifier: Apache-2.0
/** The commands of a migration: start, end, settings, progress. */
import { defineCommand, type CommandTable } from '../../../control/command.ts';
import {
  migrateArguments,
  migrateContinueArguments,
  migrateIncomingArguments,
  migrateRecoverArguments,
  setCapabilitiesArguments,
  setParametersArguments,
} from '../../../control/migration-arguments.ts';
import { listCapabilities } from '../../../../src-shared/migration/capabilities.ts';
import { requestedAddress } from '../channel-target.ts';
import { action, nothing, type CommandTargets } from './targets.ts';

export function migrationCommands({ migrations, descriptors }: CommandTargets): CommandTable {
  return {
    migrate: defineCommand({
      arguments: migrateArguments,
      handler: ({ uri, channels, blk, inc, resume }) => {
        migrations.migrate({
          ...requestedAddress({ uri, channels }),
          resume: resume === true,
          blockMigration: blk === true || inc === true,
          descriptors,
        });
        return undefined;
      },
    }),
    'migrate-incoming': defineCommand({
      arguments: migrateIncomingArguments,
      handler: async ({ uri, channels, 'exit-on-error': exitOnError }) => {
        const { address } = requestedAddress({ uri, channels });
        await migrations.migrateIncoming(address, exitOnError !== false, descriptors);
        return undefined;
      },
    }),
    migrate_cancel: action(() => migrations.cancel()),
    'migrate-continue': defineCommand({
      arguments: migrateContinueArguments,
      handler: ({ state }) => {
        migrations.continue(state);
        return undefined;
      },
    }),
    'migrate-start-postcopy': action(() => migrations.startPostcopy()),
    'migrate-pause': action(() => migrations.pauseMigration(), { oob: true }),
    'migrate-recover': defineCommand({
      arguments: migrateRecoverArguments,
      oob: true,
      handler: () => {
        migrations.recover();
        return undefined;
      },
    }),
    'query-migrate': defineCommand({ arguments: nothing, handler: () => ({ ...migrations.info() }) }),
    'query-migrationthreads': defineCommand({
      arguments: nothing,
      handler: () => migrations.threads.map(({ name, threadId }) => ({ name, 'thread-id': threadId })),
    }),
    'migrate-set-capabilities': defineCommand({
      arguments: setCapabilitiesArguments,
      handler: ({ capabilities }) => {
        migrations.setCapabilities(capabilities);
        return undefined;
      },
    }),
    'query-migrate-capabilities': defineCommand({
      arguments: nothing,
      handler: () => listCapabilities(migrations.capabilities),
    }),
    'migrate-set-parameters': defineCommand({
      arguments: setParametersArguments,
      handler: (change) => {
        migrations.setParameters(change);
        return undefined;
      },
    }),
    'query-migrate-parameters': defineCommand({ arguments: nothing, handler: () => ({ ...migrations.parameters }) }),
  };
}
