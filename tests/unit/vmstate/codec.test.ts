// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';

import { blankState } from '../../../src-main/machine/engine/vmstate/blank-state.ts';
import { bufferSource } from '../../../src-main/machine/engine/vmstate/byte-source.ts';
import type { ByteSource } from '../../../src-main/machine/engine/vmstate/byte-source.ts';
import { describeSection } from '../../../src-main/machine/engine/vmstate/describe.ts';
import {
  bool,
  buffer,
  inline,
  int32,
  int64,
  scalarArray,
  struct,
  structArray,
  timer,
  uint16,
  uint32,
  uint64,
  uint8,
  unused,
} from '../../../src-main/machine/engine/vmstate/fields.ts';
import { inspectSection } from '../../../src-main/machine/engine/vmstate/inspect.ts';
import { loadSection, loadSectionFromBytes } from '../../../src-main/machine/engine/vmstate/load.ts';
import { saveSection } from '../../../src-main/machine/engine/vmstate/save.ts';
import { SCALARS } from '../../../src-main/machine/engine/vmstate/scalar.ts';
import { defineSubsection, defineTable } from '../../../src-main/machine/engine/vmstate/table.ts';
import type { Table } from '../../../src-main/machine/engine/vmstate/table.ts';
import { vmdescText } from '../../../src-main/machine/engine/vmstate/vmdesc-text.ts';
import { VmstateError } from '../../../src-main/machine/engine/vmstate/vmstate-error.ts';
import { randomState } from './random-state.ts';
import { seeded } from './seeded.ts';

const lampTable = defineTable({
  name: 'lamp',
  version: 2,
  fields: [uint8('colour'), timer('offAt', 'off_at')],
  subsections: [
    defineSubsection({
      name: 'lamp/dimmed',
      fields: [uint16('level'), buffer('curve', 3)],
      defaults: { level: 0, curve: new Uint8Array(3) },
      needed: (state) => state.level !== 0,
    }),
  ],
});

const pointTable = defineTable({ name: 'point', version: 1, fields: [int32('x'), int32('y')] });

/** Every kind of field, and structs whose size is not fixed. */
const zooTable = defineTable({
  name: 'zoo',
  version: 5,
  minimumVersion: 4,
  fields: [
    bool('open'),
    int64('balance'),
    unused(3),
    struct('gate', pointTable),
    inline('tmp', defineTable({ name: 'zoo_tmp', version: 0, fields: [uint64('visitors')] })),
    struct('lamp', lampTable),
    scalarArray('ages', 'uint16', 4),
    structArray('fences', pointTable, 2, 'fences', 'index'),
    structArray('lamps', lampTable, 2, 'lamps', 'index'),
    uint32('last'),
  ],
  subsections: [
    defineSubsection({
      name: 'zoo/panda',
      version: 3,
      fields: [int64('panda')],
      defaults: { panda: -1n },
      needed: (state) => state.panda !== -1n,
    }),
    defineSubsection({
      name: 'zoo/yak',
      fields: [uint8('yak')],
      defaults: { yak: 7 },
      needed: (state) => state.yak !== 7,
    }),
  ],
  check: (state) => (state.balance === 13n ? 'a balance of 13 brings bad luck' : undefined),
});

const FOOTER = Uint8Array.of(0x7e, 0, 0, 0, 9);

async function failure(promise: Promise<unknown>): Promise<VmstateError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof VmstateError)) throw new Error('a VmstateError was expected', { cause: error });
  return error;
}

/** Like a channel: every call is answered later, and calls are counted. */
function slowSource(bytes: Uint8Array): ByteSource & { readonly calls: () => number } {
  const source = bufferSource(bytes);
  let calls = 0;
  const later = async <T>(answer: () => Promise<T>): Promise<T> => {
    calls++;
    await new Promise((resolve) => setImmediate(resolve));
    return answer();
  };
  return {
    read: (n) => later(() => source.read(n)),
    peek: (n) => later(() => source.peek(n)),
    calls: () => calls,
  };
}

describe('saving and loading', () => {
  it.each(Array.from({ length: 40 }, (_, round) => seeded(round)))(
    'gives back any state, seed $seed',
    async (random) => {
      const state = randomState(zooTable, random);
      expect(await loadSectionFromBytes(zooTable, saveSection(zooTable, state), 5)).toEqual(state);
    },
  );

  it('leaves out subsections at their defaults and puts the defaults back', async () => {
    const state = { ...blankState(zooTable), balance: 1n };
    const bytes = saveSection(zooTable, state);
    expect(Buffer.from(bytes).includes('zoo/')).toBe(false);
    expect(await loadSectionFromBytes(zooTable, bytes, 4)).toMatchObject({ panda: -1n, yak: 7 });
  });

  it('takes subsections in any order', async () => {
    const head = saveSection(zooTable, blankState(zooTable));
    const both = saveSection(zooTable, { ...blankState(zooTable), panda: 5n, yak: 6 });
    const panda = both.subarray(head.length, head.length + 2 + 9 + 4 + 8);
    const yak = both.subarray(head.length + panda.length);
    const state = await loadSectionFromBytes(zooTable, Buffer.concat([head, yak, panda]), 5);
    expect(state).toMatchObject({ panda: 5n, yak: 6 });
  });

  it('does not take fields after a struct for the start of a subsection', async () => {
    const box = defineTable({ name: 'box', version: 1, fields: [struct('lamp', lampTable), buffer('rest', 8)] });
    for (const rest of ['\x05\xfflimp/', '\x05\x04lamp/', '\x05\x00lamp/', 'lamp/\x05', '\x05\x0blump/']) {
      const state = { lamp: blankState(lampTable), rest: new Uint8Array(Buffer.from(rest.padEnd(8), 'latin1')) };
      expect(await loadSectionFromBytes(box, saveSection(box, state), 1)).toEqual(state);
    }
  });

  it('does not look past the end for one either', async () => {
    const box = defineTable({ name: 'box', version: 1, fields: [struct('lamp', lampTable), uint8('rest')] });
    const bytes = Buffer.concat([saveSection(box, { lamp: blankState(lampTable), rest: 5 }), FOOTER]);
    expect(await loadSection(box, bufferSource(bytes), 1)).toMatchObject({ rest: 5 });
  });

  it('reads a run of fixed fields in one go', async () => {
    const many = defineTable({
      name: 'many',
      version: 1,
      fields: [scalarArray('words', 'uint32', 500), struct('gate', pointTable), uint8('end')],
    });
    const source = slowSource(Buffer.concat([saveSection(many, blankState(many)), FOOTER]));
    await loadSection(many, source, 1);
    expect(source.calls()).toBe(2);
  });

  it('leaves what follows the section in place', async () => {
    const source = bufferSource(Buffer.concat([saveSection(zooTable, blankState(zooTable)), FOOTER]));
    await loadSection(zooTable, source, 5);
    expect(await source.read(source.left)).toEqual(Buffer.from(FOOTER));
  });

  it('leaves a subsection of another section in place', async () => {
    const other = Buffer.concat([Buffer.from([5, 7]), Buffer.from('other/x'), FOOTER]);
    const source = bufferSource(Buffer.concat([saveSection(zooTable, blankState(zooTable)), other]));
    await loadSection(zooTable, source, 5);
    expect(source.left).toBe(other.length);
  });
});

describe('a section cut short', () => {
  const random = seeded(1000);
  const state = { ...randomState(zooTable, random), panda: 1n, yak: 2, balance: 0n };
  state.lamp = { ...state.lamp, level: 3 };
  const bytes = Buffer.concat([saveSection(zooTable, state), FOOTER.subarray(0, 1)]);

  it(`is refused at every byte, seed ${random.seed}`, async () => {
    for (let length = 0; length < bytes.length; length++) {
      const error = await failure(loadSection(zooTable, slowSource(bytes.subarray(0, length)), 5));
      expect(error.code, `cut after ${length} bytes`).toBe('TRUNCATED');
      expect(error.message).toMatch(/^section zoo: the stream ends at /);
    }
    expect(await loadSection(zooTable, bufferSource(bytes), 5)).toEqual(state);
  });

  it('is told by the fields it ends in', async () => {
    const cut = (length: number) => failure(loadSection(zooTable, bufferSource(bytes.subarray(0, length)), 5));
    expect((await cut(5)).field).toBe('open to tmp');
    expect((await cut(29)).field).toBe('lamp.colour to lamp.off_at');
    expect((await cut(bytes.length - 2)).field).toBe('zoo/yak: yak');
    expect((await cut(bytes.length - 1)).field).toBe('the end of zoo');
  });

  it('passes other errors of the source on', async () => {
    const cancelled = Object.assign(new Error('cancelled'), { code: 'ECANCELED' });
    const source: ByteSource = { read: () => Promise.reject(cancelled), peek: () => Promise.reject(cancelled) };
    await expect(loadSection(zooTable, source, 5)).rejects.toBe(cancelled);
  });
});

describe('a section that this machine does not read', () => {
  const bytes = saveSection(zooTable, blankState(zooTable));
  const subsection = (name: string, version: number, body: readonly number[]) =>
    Buffer.concat([Buffer.from([5, name.length]), Buffer.from(name), Buffer.from([0, 0, 0, version, ...body])]);
  const load = (payload: Uint8Array) => failure(loadSectionFromBytes(zooTable, payload, 5));

  it('is refused when its version is newer or too old', async () => {
    for (const version of [3, 6]) {
      const error = await failure(loadSectionFromBytes(zooTable, bytes, version));
      expect(error.code).toBe('VERSION');
      expect(error.message).toBe(`section zoo has version ${version}; this machine reads versions 4 to 5`);
    }
  });

  it('is refused by the name of a subsection that is not known', async () => {
    const error = await load(Buffer.concat([bytes, subsection('zoo/unicorn', 1, [1])]));
    expect(error).toMatchObject({ code: 'SUBSECTION', section: 'zoo', field: 'zoo/unicorn' });
    expect(error.message).toBe('section zoo: subsection zoo/unicorn is not known to this machine');
  });

  it('is refused when a subsection comes twice', async () => {
    const yak = subsection('zoo/yak', 1, [9]);
    expect((await load(Buffer.concat([bytes, yak, yak]))).message).toBe('section zoo: subsection zoo/yak comes twice');
  });

  it('is refused when a subsection is newer', async () => {
    const error = await load(Buffer.concat([bytes, subsection('zoo/yak', 2, [9])]));
    expect(error).toMatchObject({ code: 'VERSION', field: 'zoo/yak' });
  });

  it('is refused when bytes are left over', async () => {
    const error = await load(Buffer.concat([bytes, Buffer.from([1, 2, 3])]));
    expect(error.message).toBe(`section zoo: 3 bytes too many after ${bytes.length} of ${bytes.length + 3} bytes`);
  });

  it('is refused when its own check says so', async () => {
    const error = await load(saveSection(zooTable, { ...blankState(zooTable), balance: 13n }));
    expect(error).toMatchObject({ code: 'INVALID', message: 'section zoo: a balance of 13 brings bad luck' });
  });
});

describe('a state that does not fit its table', () => {
  const saving = (change: object) => () => saveSection(zooTable, { ...blankState(zooTable), ...change });

  it.each([
    ['a number too large', { last: 2 ** 32 }, 'last'],
    ['a fraction', { last: 0.5 }, 'last'],
    ['a number where a bigint belongs', { balance: 1 }, 'balance'],
    ['an array too short', { ages: [1, 2, 3] }, 'ages'],
    ['an element too large', { ages: [1, 2, 3, 65536] }, 'ages[3]'],
    ['a field that is missing in a struct', { gate: { x: 1 } }, 'gate.y'],
    [
      'a buffer of another size',
      { lamp: { ...blankState(lampTable), level: 1, curve: new Uint8Array(2) } },
      'lamp/dimmed: curve',
    ],
  ])('is refused: %s', (_, change, field) => {
    expect(saving(change)).toThrow(expect.objectContaining({ name: 'VmstateError', code: 'RANGE', field }));
  });

  it('is refused when a struct is missing', () => {
    expect(saving({ lamp: undefined })).toThrow(expect.objectContaining({ code: 'RANGE' }));
  });
});

describe('the description of a section', () => {
  const state = { ...blankState(zooTable), yak: 1 };
  state.lamp = { ...state.lamp, level: 2 };
  const text = vmdescText(4096, [describeSection(zooTable, 'bus/zoo', 3, state)]);

  it('has arrays in both notations, structs and subsections', () => {
    const lamp =
      '"struct": {"vmsd_name": "lamp", "version": 2, "fields": [{"name": "colour", "type": "uint8", "size": 1}, {"name": "off_at", "type": "timer", "size": 8}]';
    expect(text).toContain('{"name": "ages", "array_len": 4, "type": "uint16", "size": 2}');
    expect(text).toContain('{"name": "fences", "index": 1, "type": "struct", "struct": {"vmsd_name": "point", ');
    expect(text).toContain(`{"name": "lamps", "index": 0, "type": "struct", ${lamp}}, "size": 9}`);
    expect(text).toContain('{"name": "tmp", "type": "tmp", "vmsd_name": "zoo_tmp", "version": 0, "fields": [');
    expect(text).toContain('"subsections": [{"vmsd_name": "zoo/yak", "version": 1, "fields": [');
    expect(text.startsWith('{"page_size": 4096, "devices": [{"name": "bus/zoo", "instance_id": 3, ')).toBe(true);
  });

  it('counts the subsections of a struct in its size', () => {
    expect(text).toContain(`{"name": "curve", "type": "buffer", "size": 3}]}]}, "size": ${9 + 2 + 11 + 4 + 5}}`);
  });
});

describe('the rows of an inspected section', () => {
  it.each(Array.from({ length: 10 }, (_, round) => seeded(2000 + round)))(
    'lie where the values are, seed $seed',
    (random) => {
      const state = randomState(zooTable as Table<object>, random);
      const bytes = saveSection(zooTable as Table<object>, state);
      const view = new DataView(bytes.buffer);
      const rows = inspectSection(zooTable as Table<object>, state);
      for (const row of rows) {
        if (row.type === 'buffer') expect(bytes.slice(row.offset, row.offset + row.size)).toEqual(row.value);
        else expect(SCALARS[row.type as keyof typeof SCALARS].read(view, row.offset), row.path).toBe(row.value);
      }
      expect(rows.find(({ path }) => path === 'lamps[1].off_at')).toBeDefined();
    },
  );
});
