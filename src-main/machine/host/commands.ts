// SPDX-License-Identifier: Apache-2.0
/** The QMP commands of a machine: one table, name → schema → handler. */
import { int, object, optional, str, uint, uint64 } from '../../control/arguments.ts';
import { defineCommand, type Command, type CommandTable } from '../../control/command.ts';
import {
  migrateArguments,
  migrateContinueArguments,
  migrateIncomingArguments,
  setCapabilitiesArguments,
  setParametersArguments,
} from '../../control/migration-arguments.ts';
import { genericError, QmpError, REFERENCE_RELEASE } from '../../control/protocol.ts';
import { listCapabilities } from '../../../src-shared/migration/capabilities.ts';
import { MigrationError } from '../engine/errors.ts';
import { native } from '../native/index.ts';
import { paceIntervalNs } from '../vm/guest/pace.ts';
import type { Machine } from '../vm/machine.ts';
import { blockRange } from '../vm/memory-layout.ts';
import type { MigrationService } from './migration-service.ts';
import { Refusal } from './refusal.ts';
import { requestedAddress } from './socket-target.ts';

/** What the commands act on. */
export interface CommandTargets {
  readonly machine: Machine;
  readonly migrations: MigrationService;
  readonly name: string | undefined;
  /** `godwit-X.Y.Z`. */
  readonly packageName: string;
  /** Ends the process once the reply is on its way. */
  readonly quit: () => void;
}

const nothing = object({});

/** Builds the table for one machine. */
export function machineCommands(targets: CommandTargets): CommandTable {
  const table: CommandTable = {
    ...statusCommands(targets),
    ...migrationCommands(targets),
    ...machineQueries(targets),
    ...godwitCommands(targets),
    'query-commands': defineCommand({
      arguments: nothing,
      handler: () => ['qmp_capabilities', ...Object.keys(table)].map((name) => ({ name })),
    }),
  };
  return Object.fromEntries(Object.entries(table).map(([name, command]) => [name, answeringRefusals(command)]));
}

/** Refusals of ours become GenericError replies; anything else is a defect and is reported as one. */
function answeringRefusals(command: Command): Command {
  return {
    oob: command.oob,
    run: async (input, context) => {
      try {
        return await command.run(input, context);
      } catch (error) {
        if (error instanceof QmpError) throw error;
        if (error instanceof Refusal || error instanceof MigrationError) throw genericError(error.message);
        throw error;
      }
    },
  };
}

function statusCommands({ machine, migrations, name, packageName, quit }: CommandTargets): CommandTable {
  return {
    'query-version': defineCommand({
      arguments: nothing,
      handler: () => ({ qemu: { ...REFERENCE_RELEASE }, package: packageName }),
    }),
    'query-name': defineCommand({ arguments: nothing, handler: () => (name === undefined ? {} : { name }) }),
    'query-status': defineCommand({
      arguments: nothing,
      handler: () => ({ status: machine.runState, running: machine.running }),
    }),
    stop: defineCommand({
      arguments: nothing,
      handler: async () => {
        await migrations.pauseGuest();
        return undefined;
      },
    }),
    cont: defineCommand({
      arguments: nothing,
      handler: () => {
        migrations.resumeGuest();
        return undefined;
      },
    }),
    quit: defineCommand({
      arguments: nothing,
      handler: () => {
        quit();
        return undefined;
      },
    }),
  };
}

function migrationCommands({ migrations }: CommandTargets): CommandTable {
  return {
    migrate: defineCommand({
      arguments: migrateArguments,
      handler: ({ uri, channels, blk, inc, resume }) => {
        const address = requestedAddress({ ...(uri !== undefined && { uri }), ...(channels && { channels }) });
        if (blk === true || inc === true) {
          throw new Refusal('QEMU compiled without old-style (blk/-b, inc/-i) block migration');
        }
        migrations.migrate(address, resume === true);
        return undefined;
      },
    }),
    'migrate-incoming': defineCommand({
      arguments: migrateIncomingArguments,
      handler: ({ uri, channels }) => {
        const address = requestedAddress({ ...(uri !== undefined && { uri }), ...(channels && { channels }) });
        migrations.migrateIncoming(address);
        return undefined;
      },
    }),
    migrate_cancel: defineCommand({
      arguments: nothing,
      handler: () => {
        migrations.cancel();
        return undefined;
      },
    }),
    'migrate-continue': defineCommand({
      arguments: migrateContinueArguments,
      handler: ({ state }) => {
        migrations.continue(state);
        return undefined;
      },
    }),
    'query-migrate': defineCommand({ arguments: nothing, handler: () => ({ ...migrations.info() }) }),
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

function machineQueries({ machine }: CommandTargets): CommandTable {
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

function godwitCommands({ machine, migrations }: CommandTargets): CommandTable {
  return {
    'x-godwit-migration-phase': defineCommand({ arguments: nothing, handler: () => ({ ...migrations.phase() }) }),
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
