// SPDX-License-Identifier: Apache-2.0
/** The stream of each dialect beside what that release of QEMU sends: the same elements in the same order. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dialectOf, PEER_RELEASES, peerFor } from '../../src-shared/migration/peer-release.ts';
import { bytesOf, capturedStream } from '../support/captured-streams.ts';
import { startMachine } from '../support/machine.ts';
import { MainStreamParser } from '../support/stream-parser.ts';

const MIB = 1024 ** 2;
/** As in the captures. */
const UUID = '00112233-4455-6677-8899-aabbccddeeff';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gw-dialect-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Parsed {
  /** Names of the elements, repeated ones once. */
  readonly elements: string[];
  /** Bytes of the first element of that name. */
  bytes(name: string): Buffer;
}

/** `partly`: block lists with addresses are not known to the parser; what comes before them is. */
function parse(stream: Buffer, partly = false): Parsed {
  const parser = new MainStreamParser();
  const { units } = parser.push(stream);
  if (!partly) expect(parser.error).toBeUndefined();
  const names = units.flatMap(({ ends }) => (ends === undefined ? [] : [ends]));
  return {
    elements: names.filter((name, index) => name !== names[index - 1]),
    bytes: (name) => {
      const unit = units.find(({ ends }) => ends === name);
      return stream.subarray(unit?.start ?? 0, unit?.end ?? 0);
    },
  };
}

async function saved(peer: string, capabilities: readonly string[] = []): Promise<Buffer> {
  const path = join(folder, `${peer}-${capabilities.join('-')}`);
  await using source = await startMachine({ machine: 'none', memoryBytes: 4 * MIB, uuid: UUID, paused: true });
  await source.setCapabilities('events', ...capabilities);
  await source.execute('migrate-set-parameters', { 'x-godwit-peer': peer });
  await source.execute('migrate', { uri: `file:${path}` });
  await source.untilStatus('completed');
  return readFileSync(path);
}

/** The description of the device sections, without the values of this run. */
function description(stream: Buffer): unknown {
  const text = parse(stream).bytes('vmdesc').subarray(5).toString('utf8');
  const { devices } = JSON.parse(text) as { devices: { name: string; fields: { name: string; size: number }[] }[] };
  return devices.map(({ name, fields }) => ({ name, fields: fields.map((field) => [field.name, field.size]) }));
}

describe.each([
  ['7.2', 'q72'],
  ['10.0', 'q100'],
] as const)('the dialect of %s', (peer, capture) => {
  it('has the elements of that release, in its order, without a return path', async () => {
    const ours = parse(await saved(peer));
    const theirs = parse(bytesOf(capturedStream(`${capture}-none-norp`)));
    expect(ours.elements.filter((name) => name !== 'ram:PART')).toEqual(
      theirs.elements.filter((name) => name !== 'ram:PART'),
    );
    expect(ours.elements.includes('command:SWITCHOVER_START')).toBe(dialectOf(peer).switchoverStart);
  });

  it('describes the device sections as that release does', async () => {
    expect(description(await saved(peer))).toEqual(description(bytesOf(capturedStream(`${capture}-none-norp`))));
  });

  it('has the configuration section of that release, byte for byte, with all that it can say', async () => {
    const ours = parse(await saved(peer, ['validate-uuid', 'x-ignore-shared']), true);
    const theirs = parse(bytesOf(capturedStream(`${capture}-none-subsections`)), true);
    expect(ours.bytes('configuration').toString('hex')).toBe(theirs.bytes('configuration').toString('hex'));
  });
});

describe('the dialect for a peer', () => {
  it('is the newest that is not newer than it', () => {
    for (const release of PEER_RELEASES) expect(peerFor(release)).toBe(release);
    expect(peerFor('8.0.5')).toBe('8.0');
    expect(peerFor('10.9')).toBe('10.2');
    expect(peerFor('99.0')).toBe('11.0');
    expect(peerFor('6.2')).toBe('7.2');
    expect(peerFor('nonsense')).toBe('7.2');
  });
});
