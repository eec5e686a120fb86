// SPDX-License-Identifier: Apache-2.0
/** One machine process: creates the machine, serves its monitors, and ends in order. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { parseMigrationUri } from '../../../src-shared/migration/address.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import { UsageError } from '../../../src-shared/usage-error.ts';
import type { JsonValue } from '../../control/json.ts';
import { QmpServer } from '../../control/server.ts';
import { DirtyRate } from '../engine/convergence/dirty-rate.ts';
import { createMachine } from '../vm/create-machine.ts';
import type { Machine } from '../vm/machine.ts';
import { machineCommands } from './commands.ts';
import { DescriptorTable } from './descriptor-table.ts';
import type { MachineOptions, SerialTarget } from './machine-options.ts';
import { MigrationService } from './migration-service.ts';
import { MonitorListener } from './monitor-listener.ts';

/** Why the process ends; `reason` is QMP's ShutdownCause. */
interface Ending {
  readonly exitCode: number;
  readonly reason?: 'host-qmp-quit' | 'host-signal';
  readonly lastWords?: string;
}

/** An event for every monitor. */
interface Announcement {
  readonly name: string;
  readonly data?: Readonly<Record<string, JsonValue>>;
}

/**
 * Runs one machine until `quit`, SIGTERM or SIGINT, or until a migration into it has failed. Prints one line of JSON on
 * stdout when its sockets listen. The answer is the exit code; what keeps it from starting is thrown.
 */
export async function runMachine(options: MachineOptions): Promise<number> {
  const process_ = new MachineProcess();
  return process_.run(options);
}

class MachineProcess {
  readonly #servers: QmpServer[] = [];
  readonly #descriptorTables: DescriptorTable[] = [];
  readonly #ending = Promise.withResolvers<Ending>();
  #machine: Machine | undefined;
  #migrations: MigrationService | undefined;
  #dirtyRate: DirtyRate | undefined;

  async run(options: MachineOptions): Promise<number> {
    const onSignal = (): void => {
      this.#ending.resolve({ exitCode: 0, reason: 'host-signal' });
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
    try {
      await this.#start(options);
      process.stdout.write(`${JSON.stringify({ ready: true, pid: process.pid })}\n`);
      return await this.#end(await this.#ending.promise);
    } finally {
      process.off('SIGTERM', onSignal);
      process.off('SIGINT', onSignal);
      await Promise.all(this.#servers.map((server) => server.close()));
      this.#descriptorTables.forEach((table) => table.close());
      await this.#machine?.close();
    }
  }

  async #start(options: MachineOptions): Promise<void> {
    const serial = openSerial(options.serial);
    const machine = await createMachine({
      ...options,
      ...(serial !== undefined && { serialFd: serial.fd }),
      onEvent: (event) => {
        this.#announce(event);
      },
      onCrash: (sentence) => {
        process.stderr.write(`godwit: ${plainText(sentence)}\n`);
      },
    }).finally(() => serial?.close());
    this.#machine = machine;
    const migrations = new MigrationService({
      machine,
      onlyMigratable: options.onlyMigratable,
      emit: (event) => {
        this.#announce(event);
      },
      onIncomingFailed: (lastWords) => {
        this.#ending.resolve({ exitCode: 1, lastWords });
      },
    });
    this.#migrations = migrations;
    await this.#serve(options, machine, migrations);
    if (options.incoming?.kind === 'uri') {
      const outcome = parseMigrationUri(options.incoming.uri);
      if (!outcome.ok) throw new UsageError(`-incoming ${options.incoming.uri}: ${outcome.sentence}`);
      await migrations.migrateIncoming(outcome.address, true, new DescriptorTable());
    }
    if (options.incoming === undefined && !options.paused) machine.resume();
  }

  async #serve(options: MachineOptions, machine: Machine, migrations: MigrationService): Promise<void> {
    const version = { package: `godwit-${packageVersion()}` };
    const dirtyRate = new DirtyRate(machine.ramBlocks, machine.hasDirtyRing, Date.now);
    this.#dirtyRate = dirtyRate;
    migrations.notifiers.add((notice) => {
      if (notice === 'done') dirtyRate.abandon();
    });
    const targets = {
      machine,
      migrations,
      dirtyRate,
      monitors: () =>
        this.#servers.map((server, index) => ({ id: `compat_monitor${index}`, drop: () => server.drop() })),
      name: options.name,
      packageName: version.package,
      quit: () => {
        this.#ending.resolve({ exitCode: 0, reason: 'host-qmp-quit' });
      },
    };
    for (const path of options.qmp) {
      const server = new QmpServer({
        path,
        version,
        commands: machineCommands({ ...targets, descriptors: this.#descriptorTable() }),
        listener: new MonitorListener(),
        onError: (error) => {
          process.stderr.write(`godwit: ${plainText(error.message)}\n`);
        },
      });
      await server.listen();
      this.#servers.push(server);
    }
  }

  #descriptorTable(): DescriptorTable {
    const table = new DescriptorTable();
    this.#descriptorTables.push(table);
    return table;
  }

  async #end({ exitCode, reason, lastWords }: Ending): Promise<number> {
    if (reason !== undefined) this.#announce({ name: 'SHUTDOWN', data: { guest: false, reason } });
    if (this.#migrations?.phase().phase === 'waiting') {
      process.stderr.write(
        'godwit: this machine held the whole guest, not running, and was told to end: unless the source has it, it is lost\n',
      );
    }
    await this.#migrations?.close();
    await this.#dirtyRate?.close();
    if (lastWords !== undefined) process.stderr.write(`godwit: ${plainText(lastWords)}\n`);
    return exitCode;
  }

  #announce(event: Announcement): void {
    for (const server of this.#servers) {
      server.emit({ event: event.name, ...(event.data !== undefined && { data: { ...event.data } }) });
    }
  }
}

/** Opens where the serial port writes; the machine duplicates the descriptor, so that it can be closed at once. */
function openSerial(target: SerialTarget | undefined): { fd: number; close: () => void } | undefined {
  if (target === undefined) return undefined;
  if (target.kind === 'stdio') return { fd: 1, close: () => undefined };
  const fd = openSync(target.path, 'w', 0o600);
  return {
    fd,
    close: () => {
      closeSync(fd);
    },
  };
}

/** Version of the package that this file belongs to. */
function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) return String(manifest.version);
  return '0.0.0';
}
