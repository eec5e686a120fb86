// SPDX-License-Identifier: Apache-2.0
/** A destination of machine `none` takes every dialect of the stream that a stock source may speak. */
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { saveSection } from '../../src-main/machine/engine/vmstate/save.ts';
import * as wire from '../../src-main/machine/engine/stream/wire.ts';
import * as write from '../../src-main/machine/engine/stream/writer.ts';
import { globalStateSection, globalStateSection90 } from '../../src-main/machine/vm/sections/globalstate.ts';
import { globalStateTable, globalStateTable90 } from '../../src-main/machine/vm/sections/globalstate.ts';
import { timerTable } from '../../src-main/machine/vm/sections/timer.ts';
import { startMachine } from '../support/machine.ts';
import { seeded, type Random } from '../unit/control/random.ts';

const MIB = 1024 ** 2;
const pageBytes = wire.TARGET_PAGE_SIZE;

interface Loaded {
  readonly sha256: string;
  readonly runState: string;
  /** What came back on the connection. */
  readonly answers: Buffer;
}

/** Sends the bytes to a destination that stays paused, and answers what it made of them. */
async function load(bytes: Uint8Array, memoryBytes: number): Promise<Loaded> {
  await using machine = await startMachine({ machine: 'none', memoryBytes, incoming: 'defer', paused: true });
  const path = join(machine.process.folder, 'migration.sock');
  await machine.execute('migrate-incoming', { uri: `unix:${path}` });
  const socket = connect({ path });
  const answers: Buffer[] = [];
  socket.on('data', (data) => answers.push(data));
  await once(socket, 'connect');
  socket.write(bytes);
  const status = await Promise.race([
    machine.untilStatus('completed').then(({ status: reached }) => reached),
    machine.process.exited.then(({ lastWords }) => lastWords),
  ]);
  expect(status).toBe('completed');
  socket.end();
  await once(socket, 'close');
  const dump = join(machine.process.folder, 'ram');
  await machine.execute('pmemsave', { val: 0, size: memoryBytes, filename: dump });
  const sha256 = hashOf(await readFile(dump));
  return { sha256, runState: await machine.runState(), answers: Buffer.concat(answers) };
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const pong1 = write.returnPathValue(wire.RETURN_PATH_PONG, 1);
const shut = write.returnPathValue(wire.RETURN_PATH_SHUT, 0);

describe('a destination that is sent what a stock QEMU has sent', () => {
  // Captures of releases 7.2 and 10.0; the hashes are those of the file that filled the source's RAM.
  const plain = '48f3d55b51032bfcdc9e27ac0340771a10f8fad27499f4bc63e721e4261a4004';
  const large = 'd818c7460e494e803123fde67c7715093928b5dd4cec229ec3c56baea86c8b0f';
  it.each([
    { capture: 'q72-none-precopy', mib: 4, sha256: large, answers: Buffer.concat([pong1, shut]) },
    { capture: 'q100-none-precopy', mib: 4, sha256: large, answers: Buffer.concat([pong1, shut]) },
    { capture: 'q72-none-norp', mib: 1, sha256: plain, answers: Buffer.alloc(0) },
    { capture: 'q100-none-norp', mib: 1, sha256: plain, answers: Buffer.alloc(0) },
  ])('has exactly its RAM and run state ($capture)', async ({ capture, mib, sha256, answers }) => {
    const bytes = await readFile(new URL(`../fixtures/streams/${capture}/main.bin`, import.meta.url));
    expect(await load(bytes, mib * MIB)).toEqual({ sha256, runState: 'prelaunch', answers });
  });
});

describe('a destination that is sent a stream put together at random', () => {
  const base = Number(process.env['GODWIT_SEED'] ?? Date.now() % 1_000_000);
  it.each([0, 1, 2, 3, 4, 5])(`ends with the last content of every page (seed ${base} + %i)`, async (offset) => {
    const { bytes, ram, returnPath, what } = randomStream(seeded(base + offset), base + offset);
    const loaded = await load(bytes, ram.length);
    expect(loaded, what).toEqual({
      sha256: hashOf(ram),
      runState: 'paused',
      answers: returnPath ? Buffer.concat([pong1, shut]) : Buffer.alloc(0),
    });
  });
});

/** A stream as some source could write it, and the memory that it describes. */
function randomStream(random: Random, seed: number) {
  const ram = Buffer.alloc(MIB);
  const returnPath = random(2) === 0;
  const ids = Array.from(
    { length: 3 },
    (_, index) => [0, 7, 0x8000_0001, 0xffff_ffff, 42][(random(5) + index) % 5] ?? 0,
  );
  const [ramId = 0, timerId = 1, stateId = 2] = new Set(ids).size === 3 ? ids : [9, 0, 3];
  const announcesSwitchover = random(2) === 0;
  const parts = random(4);
  const vmdesc = ['none', 'usual', 'long'][random(3)] ?? 'none';
  const devices = shuffled(
    [fullSection(timerId, 'timer', 2, timer()), fullSection(stateId, 'globalstate', 1, runState(random))],
    random,
  );
  const earlyDevices = random(3) === 0 ? devices.splice(0, 1) : [];
  let previous = { named: false };
  const section = (type: 'part' | 'end', pages: number): Buffer => {
    const records = Array.from({ length: pages }, () => ramRecord(ram, random, seed, previous));
    if (random(2) === 0) previous = { named: false }; // some sources name the block anew in every section
    const start = write.sectionContinue(type === 'part' ? wire.SECTION_PART : wire.SECTION_END, ramId);
    return Buffer.concat([start, ...records, write.ramEndOfSection(), write.sectionFooter(ramId)]);
  };
  const bytes = Buffer.concat([
    write.header(),
    write.configuration('none'),
    ...(returnPath ? [write.command(wire.COMMAND_OPEN_RETURN_PATH), write.ping(1)] : []),
    ...earlyDevices,
    write.sectionStart(wire.SECTION_START, ramId, 'ram', 0, wire.RAM_SECTION_VERSION),
    write.ramSetup([{ name: 'ram', sizeBytes: ram.length }]),
    write.ramEndOfSection(),
    write.sectionFooter(ramId),
    ...Array.from({ length: parts }, () => section('part', random(300))),
    ...(announcesSwitchover ? [write.command(wire.COMMAND_SWITCHOVER_START)] : []),
    section('end', random(100)),
    ...devices,
    write.endOfStream(),
    ...(vmdesc === 'none' ? [] : [write.vmdescription(vmdesc === 'long' ? `{"x":"${'y'.repeat(200_000)}"}` : '{}')]),
  ]);
  const what = JSON.stringify({ seed, returnPath, ids: [ramId, timerId, stateId], announcesSwitchover, parts, vmdesc });
  return { bytes, ram, returnPath, what };
}

/** A record for a random page, which it also writes to `ram`. */
function ramRecord(ram: Buffer, random: Random, seed: number, previous: { named: boolean }): Buffer {
  const page = random(ram.length / pageBytes);
  const zero = random(3) === 0;
  const key = createHmac('sha256', `${seed}`)
    .update(`${page} ${random(1 << 30)}`)
    .digest();
  const body = zero ? Buffer.alloc(pageBytes) : Buffer.alloc(pageBytes, key);
  body.copy(ram, page * pageBytes);
  const flags = (zero ? wire.RAM_FLAG_ZERO : wire.RAM_FLAG_PAGE) | (previous.named ? wire.RAM_FLAG_CONTINUE : 0);
  const head = Buffer.alloc(8);
  head.writeBigUInt64BE(BigInt(page * pageBytes) | BigInt(flags));
  const name = previous.named ? Buffer.alloc(0) : Buffer.from('\u0003ram', 'latin1');
  previous.named = true;
  return Buffer.concat([head, name, zero ? Buffer.from([0]) : body]);
}

function fullSection(id: number, idstr: string, version: number, payload: Uint8Array): Buffer {
  return Buffer.concat([
    write.sectionStart(wire.SECTION_FULL, id, idstr, 0, version),
    payload,
    write.sectionFooter(id),
  ]);
}

const timer = (): Uint8Array => saveSection(timerTable, { cpuTicksOffset: -5n, cpuClockOffset: 12_345_678_901n });

/** `running`, in the form of releases up to 8.2 or from 9.0. */
function runState(random: Random): Uint8Array {
  return random(2) === 0
    ? saveSection(globalStateTable, globalStateSection('running'))
    : saveSection(globalStateTable90, globalStateSection90('running'));
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const rest = [...items];
  return items.flatMap(() => rest.splice(random(rest.length), 1));
}
