// SPDX-License-Identifier: Apache-2.0
// needs: kvm
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import * as write from '../../src-main/machine/engine/stream/writer.ts';
import * as wire from '../../src-main/machine/engine/stream/wire.ts';
import {
  spawnMachine,
  type MachineExit,
  type MachineProcess,
  type MachineSpawnOptions,
} from '../../src-main/manager/machines/builtin.ts';

const MIB = 1024 ** 2;
let machine: MachineProcess | undefined;
afterEach(async () => {
  await machine?.dispose();
  machine = undefined;
});

/** Starts a destination, sends it the bytes, closes, and answers how its process ended. */
async function feed(bytes: Uint8Array, options: Partial<MachineSpawnOptions> = {}): Promise<MachineExit> {
  machine = spawnMachine({
    name: 'destination',
    machine: 'microvm',
    memoryBytes: 16 * MIB,
    cpus: 1,
    incoming: 'defer',
    ...options,
  });
  await machine.ready;
  const { QmpClient } = await import('../../src-main/control/client.ts');
  const qmp = await QmpClient.connect(machine.qmpPath);
  const path = join(machine.folder, 'migration.sock');
  await qmp.execute('migrate-incoming', { uri: `unix:${path}` });
  const socket = connect({ path });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.end(bytes);
  const exit = await machine.exited;
  socket.destroy();
  await qmp.close();
  return exit;
}

const start = Buffer.concat([write.header(), write.configuration('microvm')]);
const ramStart = write.sectionStart(wire.SECTION_START, 1, 'ram', 0, wire.RAM_SECTION_VERSION);

const cases: readonly { what: string; bytes: Uint8Array; says: RegExp }[] = [
  { what: 'bytes that are no stream', bytes: Buffer.from('GET / HTTP/1.1\r\n\r\n'), says: /Not a migration stream/ },
  {
    what: 'a stream of the obsolete version',
    bytes: Buffer.from('5145564d00000002', 'hex'),
    says: /SaveVM v2 format is obsolete/,
  },
  {
    what: 'a stream that ends after its header',
    bytes: write.header(),
    says: /closed the connection before the guest was complete/,
  },
  {
    what: 'a guest of another machine type',
    bytes: Buffer.concat([write.header(), write.configuration('pc-i440fx-7.2')]),
    says: /Machine type received is 'pc-i440fx-7.2' and local is 'microvm'/,
  },
  {
    what: 'a machine name of absurd length',
    bytes: Buffer.concat([write.header(), Buffer.from('07ffffffff', 'hex')]),
    says: /Machine type name of 4294967295 bytes/,
  },
  {
    what: 'a guest with more RAM than this machine has',
    bytes: Buffer.concat([
      start,
      ramStart,
      write.ramSetup([{ name: 'microvm.ram', sizeBytes: 64 * MIB }]),
      write.ramEndOfSection(),
      write.sectionFooter(1),
    ]),
    says: /Size mismatch: microvm\.ram: 0x4000000 != 0x1000000/,
  },
  {
    what: 'a RAM block of another name',
    bytes: Buffer.concat([
      start,
      ramStart,
      write.ramSetup([{ name: 'pc.ram', sizeBytes: 16 * MIB }]),
      write.ramEndOfSection(),
      write.sectionFooter(1),
    ]),
    says: /Unknown ramblock "pc\.ram"/,
  },
  {
    what: 'a device that this machine does not have',
    bytes: Buffer.concat([start, write.sectionStart(wire.SECTION_FULL, 9, 'apic', 0, 3)]),
    says: /Unknown savevm section or instance 'apic' 0/,
  },
  { what: 'an unknown command', bytes: Buffer.concat([start, write.command(99)]), says: /MIG_CMD 0x63 unknown/ },
  {
    what: 'a type byte that does not exist',
    bytes: Buffer.concat([start, Buffer.from([0x55])]),
    says: /Unknown section type 0x55/,
  },
  {
    what: 'a RAM section of an unknown version',
    bytes: Buffer.concat([start, write.sectionStart(wire.SECTION_START, 1, 'ram', 0, 5)]),
    says: /unsupported version 5 for 'ram'/,
  },
  {
    what: 'a footer of another section',
    bytes: Buffer.concat([
      start,
      ramStart,
      write.ramSetup([{ name: 'microvm.ram', sizeBytes: 16 * MIB }]),
      write.ramEndOfSection(),
      write.sectionFooter(7),
    ]),
    says: /Mismatched section id in footer for ram/,
  },
  { what: 'an end without any RAM', bytes: Buffer.concat([start, write.endOfStream()]), says: /without a RAM section/ },
];

describe('a destination that is sent something else than its guest', () => {
  it.each(cases)('ends with one sentence and no trace on $what', async ({ bytes, says }) => {
    const exit = await feed(bytes);
    expect(exit).toMatchObject({ code: 1, signal: null });
    expect(exit.lastWords).toMatch(says);
    expect(exit.lastWords).not.toMatch(/\n| {4}at /);
  });
});
