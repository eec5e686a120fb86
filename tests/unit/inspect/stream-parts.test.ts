// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { configuration, header } from '../../../src-main/machine/engine/stream/writer.ts';
import * as wire from '../../../src-main/machine/engine/stream/wire.ts';
import { decodeCommand } from '../../../src-main/machine/inspect/commands.ts';
import { readConfigurationSection, readStreamHeader } from '../../../src-main/machine/inspect/configuration.ts';
import { findFooter, footerOf } from '../../../src-main/machine/inspect/footer-search.ts';
import { readRamSetup } from '../../../src-main/machine/inspect/ram-setup.ts';
import { be32, be64, counted, inMemory, positioned } from './positioned.ts';

describe('the header', () => {
  it.each([
    ['16030100', 'it is a TLS connection'],
    ['11223344', 'it is a multifd channel'],
    ['08000a00', 'it has no header: the connection of a recovery'],
    ['7f454c46', 'it begins with 7f454c46'],
  ])('that begins with %s is refused with what it is instead', async (begin, says) => {
    const bytes = Buffer.concat([Buffer.from(begin, 'hex'), be32(3)]);
    await expect(readStreamHeader(positioned(bytes))).rejects.toThrow(`this is not a migration stream: ${says}`);
  });

  it('of another version is refused at the version', async () => {
    const bytes = Buffer.concat([header().subarray(0, 4), be32(2)]);
    await expect(readStreamHeader(positioned(bytes))).rejects.toMatchObject({ offset: 4, code: 'STREAM' });
  });
});

describe('the configuration', () => {
  const subsection = (name: string, body: Buffer): Buffer =>
    Buffer.concat([Buffer.from([wire.SECTION_SUBSECTION]), counted(name), be32(1), body]);
  const next = Buffer.from([wire.SECTION_COMMAND, 0, 1, 0, 0]);

  it('is read with each of its subsections and leaves what follows', async () => {
    const source = positioned(
      Buffer.concat([
        configuration('virt-9.2'),
        subsection('configuration/target-page-bits', be32(14)),
        subsection('configuration/capabilities', Buffer.concat([be32(2), counted('a'), counted('b')])),
        subsection('configuration/uuid', Buffer.alloc(16, 0x11)),
        next,
      ]),
    );
    expect((await readConfigurationSection(source))?.subsections).toEqual([
      { name: 'configuration/target-page-bits', version: 1, targetPageBits: 14 },
      { name: 'configuration/capabilities', version: 1, capabilities: ['a', 'b'] },
      { name: 'configuration/uuid', version: 1, uuid: '11111111-1111-1111-1111-111111111111' },
    ]);
    expect(source.left).toBe(next.length);
  });

  it('may be absent', async () => {
    expect(await readConfigurationSection(positioned(next))).toBeUndefined();
  });

  it.each([
    [subsection('configuration/new', Buffer.alloc(0)), /has a subsection 'configuration\/new'/],
    [subsection('configuration/capabilities', be32(0xffffffff)), /lists 4294967295 capabilities/],
  ])('that is not understood is refused at its place', async (bytes, says) => {
    const start = configuration('none');
    const reading = readConfigurationSection(positioned(Buffer.concat([start, bytes, next])));
    await expect(reading).rejects.toMatchObject({
      offset: start.length,
      message: expect.stringMatching(says) as string,
    });
  });

  it('with a machine name of absurd length is refused before it is read', async () => {
    const bytes = Buffer.concat([Buffer.from([wire.SECTION_CONFIGURATION]), be32(0xffffffff)]);
    await expect(readConfigurationSection(positioned(bytes))).rejects.toThrow('a machine name of 4294967295 bytes');
  });
});

describe('commands', () => {
  it('are decoded by what they are', () => {
    const ranges = Buffer.concat([be64(0x200000), be64(0x20000), be64(0x300000), be64(0x1000)]);
    const discard = Buffer.concat([Buffer.from([0]), counted('ram'), Buffer.from([0]), ranges]);
    expect(decodeCommand(wire.COMMAND_POSTCOPY_RAM_DISCARD, discard)).toEqual({
      name: 'POSTCOPY_RAM_DISCARD',
      details: {
        block: 'ram',
        ranges: [
          { start: 0x200000, length: 0x20000 },
          { start: 0x300000, length: 0x1000 },
        ],
      },
    });
    const advise = Buffer.concat([be64(0x201000), be64(4096)]);
    expect(decodeCommand(wire.COMMAND_POSTCOPY_ADVISE, advise).details).toEqual({
      pageSizes: 0x201000,
      targetPageSize: 4096,
    });
    expect(decodeCommand(wire.COMMAND_PING, be32(7)).details).toEqual({ value: 7 });
    expect(decodeCommand(0x7777, be32(7))).toEqual({ details: {} });
  });

  it.each([
    [wire.COMMAND_PING, Buffer.alloc(3)],
    [wire.COMMAND_OPEN_RETURN_PATH, Buffer.alloc(1)],
    [wire.COMMAND_POSTCOPY_ADVISE, Buffer.alloc(8)],
    [wire.COMMAND_POSTCOPY_RAM_DISCARD, Buffer.alloc(0)],
    [wire.COMMAND_POSTCOPY_RAM_DISCARD, Buffer.from([0, 200, 1, 2, 3])],
    [wire.COMMAND_POSTCOPY_RAM_DISCARD, Buffer.concat([Buffer.from([0]), counted('ram'), Buffer.alloc(18)])],
    [wire.COMMAND_RECV_BITMAP, Buffer.from([9, 1])],
  ])('of number %i with a payload of another form have a problem', (number, payload) => {
    expect(decodeCommand(number, payload).problem).toMatch(/^has a payload of \d+ bytes/);
  });
});

describe('the list of RAM blocks', () => {
  const eos = be64(wire.RAM_FLAG_EOS);
  const list = (...parts: Buffer[]): ReturnType<typeof positioned> => positioned(Buffer.concat([...parts, eos]));

  it('is read in every dialect', async () => {
    const blocks: readonly [Buffer[], boolean, object[]][] = [
      [[], false, [{}, {}]],
      [[be64(0x200000)], false, [{ pageSize: 0x200000 }, { pageSize: 0x200000 }]],
      [[be64(0)], true, [{ guestAddress: 0 }, { guestAddress: 0 }]],
      [[be64(0x100000000)], true, [{ guestAddress: 0x100000000 }, { guestAddress: 0x100000000 }]],
      [[be64(0x200000), be64(0)], true, Array.from({ length: 2 }, () => ({ pageSize: 0x200000, guestAddress: 0 }))],
    ];
    for (const [extras, ignoreShared, expected] of blocks) {
      const source = list(counted('a'), be64(0x400000), ...extras, counted('b'), be64(0x200000), ...extras);
      const read = await readRamSetup(source, 0x600000, ignoreShared);
      expect(read).toEqual([
        { name: 'a', usedBytes: 0x400000, ...expected[0] },
        { name: 'b', usedBytes: 0x200000, ...expected[1] },
      ]);
      expect(source.left).toBe(eos.length);
    }
  });

  it('may mix blocks with a page size and blocks without', async () => {
    const source = list(counted('a'), be64(0x400000), be64(0x200000), counted('b'), be64(0x1000));
    expect(await readRamSetup(source, 0x401000, false)).toEqual([
      { name: 'a', usedBytes: 0x400000, pageSize: 0x200000 },
      { name: 'b', usedBytes: 0x1000 },
    ]);
  });

  it.each([
    [[counted('a'), be64(0)], 'has 0 bytes'],
    [[counted('a'), be64(0x2000)], 'has 8192 bytes, where 4096 of the total are left'],
    [[counted('a'), be64(0x1000), be64(0x1000)], 'is followed by numbers that are not understood: 4096'],
    [[counted('a'), be64(0x1000), be64(0x2000), be64(0x2000)], 'is followed by numbers that are not understood'],
    [[counted('a'), be64(0x10)], 'has 16 bytes, which are not whole pages'],
  ])('that cannot be one is refused', async (parts, says) => {
    await expect(readRamSetup(list(...parts), 0x1000, false)).rejects.toThrow(`RAM block 'a' ${says}`);
  });

  it('with a name twice, without addresses, or of absurd size is refused', async () => {
    const twice = list(counted('a'), be64(0x1000), counted('a'), be64(0x1000));
    await expect(readRamSetup(twice, 0x2000, false)).rejects.toThrow("RAM block 'a' is announced twice");
    const plain = list(counted('a'), be64(0x1000));
    await expect(readRamSetup(plain, 0x1000, true)).rejects.toThrow('has no guest address');
    await expect(readRamSetup(list(), 2 ** 41, false)).rejects.toThrow('inspect reads at most 1 TiB');
  });
});

describe('the search for a footer', () => {
  const search = async (payload: Buffer, rest: Buffer, liveIds: ReadonlySet<number> = new Set()): Promise<unknown> => {
    const bytes = Buffer.concat([Buffer.from('head'), payload, footerOf(7), rest]);
    return findFooter({ file: inMemory(bytes), offset: 4, sectionId: 7, limit: bytes.length, liveIds });
  };
  const full = Buffer.concat([Buffer.from([wire.SECTION_FULL]), be32(8), counted('cpu'), be32(0), be32(12)]);

  it.each([
    ['the next section', full],
    ['a command', Buffer.from([wire.SECTION_COMMAND, 0, 2, 0, 4])],
    ['the end mark', Buffer.from([wire.SECTION_EOF])],
    ['the end mark and a description', Buffer.from([wire.SECTION_EOF, wire.SECTION_VMDESCRIPTION])],
    ['the end of the stream', Buffer.alloc(0)],
  ])('takes one before %s', async (_, rest) => {
    expect(await search(Buffer.alloc(100), rest)).toBe(100);
  });

  it('passes over bytes that only look like one', async () => {
    const decoys = [Buffer.from([9]), Buffer.from([wire.SECTION_PART]), Buffer.from([wire.SECTION_FULL, 0])];
    const payload = Buffer.concat(decoys.flatMap((decoy) => [footerOf(7), decoy, Buffer.alloc(20)]));
    expect(await search(payload, full)).toBe(payload.length);
  });

  it('believes in a part only of a section that was started', async () => {
    const part = Buffer.concat([Buffer.from([wire.SECTION_PART]), be32(2), Buffer.alloc(20)]);
    expect(await search(Buffer.alloc(10), part)).toBeUndefined();
    expect(await search(Buffer.alloc(10), part, new Set([2]))).toBe(10);
  });

  it('finds footers at and across the borders of what is read at once', async () => {
    for (const length of [4090, 4096, 4099, 20_470, 20_480, 85_000, 3_000_000]) {
      expect(await search(Buffer.alloc(length, 0x7e), full)).toBe(length);
    }
  });
});
