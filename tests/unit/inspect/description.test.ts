// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { VmdescTable } from '../../../src-main/machine/engine/vmstate/describe.ts';
import { describeSection } from '../../../src-main/machine/engine/vmstate/describe.ts';
import { inspectSection } from '../../../src-main/machine/engine/vmstate/inspect.ts';
import { saveSection } from '../../../src-main/machine/engine/vmstate/save.ts';
import type { Table } from '../../../src-main/machine/engine/vmstate/table.ts';
import { vmdescription } from '../../../src-main/machine/engine/stream/writer.ts';
import { vmdescText } from '../../../src-main/machine/engine/vmstate/vmdesc-text.ts';
import { describedFields, describedLength } from '../../../src-main/machine/inspect/described-section.ts';
import { findVmDescription, parseDevices } from '../../../src-main/machine/inspect/vmdescription.ts';
import { cpuTable } from '../../../src-main/machine/vm/sections/cpu.ts';
import { serialTable } from '../../../src-main/machine/vm/sections/serial.ts';
import { randomState } from '../vmstate/random-state.ts';
import { seeded } from '../vmstate/seeded.ts';
import { inMemory } from './positioned.ts';

const table = (fields: VmdescTable['fields'], subsections?: readonly VmdescTable[]): VmdescTable => ({
  vmsd_name: 'device',
  version: 1,
  fields,
  ...(subsections !== undefined && { subsections }),
});

function comparedWithTable<S extends object>(sectionTable: Table<S>): void {
  for (let round = 0; round < 20; round++) {
    const random = seeded(round);
    const state = randomState<NoInfer<S>>(sectionTable, random);
    const payload = Buffer.from(saveSection(sectionTable, state));
    const text = vmdescText(4096, [describeSection(sectionTable, sectionTable.name, 0, state)]);
    const [device] = parseDevices(Buffer.from(text)) ?? [];
    expect(describedLength(device!), `seed ${random.seed}`).toBe(payload.length);
    expect(describedFields(device!, payload)).toEqual({ fields: inspectSection(sectionTable, state), omitted: 0 });
  }
}

describe('a described section', () => {
  it('of cpu and serial gives the values that their tables give', () => {
    comparedWithTable(cpuTable);
    comparedWithTable(serialTable);
  });

  it('has integers of every width, and what it does not know as bytes', () => {
    const described = table([
      { name: 'a', type: 'int16', size: 2 },
      { name: 'b', type: 'uint8 equal', size: 1 },
      { name: 'c', type: 'int32 le', size: 4 },
      { name: 'd', type: 'uint64', size: 4 },
      { name: 'e', type: 'float64', size: 2 },
      { name: 'f', type: 'bool', size: 1 },
      { name: 'g', type: 'timer', size: 8 },
      { name: 'h', type: 'unused_buffer', size: 3 },
      { name: 'i', type: 'nullptr', size: 1, index: 4 },
    ]);
    const payload = Buffer.from('fffe07fffffffd000000090102010000000000000bb800000030', 'hex');
    expect(describedLength(described)).toBe(payload.length);
    const values = describedFields(described, payload)?.fields.map(({ path, value }) => [path, value]);
    expect(values).toEqual([
      ['a', -2],
      ['b', 7],
      ['c', -3],
      ['d', Uint8Array.of(0, 0, 0, 9)],
      ['e', Uint8Array.of(1, 2)],
      ['f', true],
      ['g', 3000n],
      ['i[4]', Uint8Array.of(0x30)],
    ]);
  });

  it('whose subsection is not where the description says is not its section', () => {
    const described = table([{ name: 'a', type: 'uint8', size: 1 }], [{ ...table([]), vmsd_name: 'device/more' }]);
    const payload = Buffer.concat([Buffer.from([1, 5, 11]), Buffer.from('device/more'), Buffer.alloc(4)]);
    expect(describedLength(described)).toBe(payload.length);
    expect(describedFields(described, payload)?.fields.length).toBe(1);
    expect(describedFields(described, Buffer.alloc(payload.length))).toBeUndefined();
  });

  it('is listed in bounded time and room, whatever the description announces', () => {
    const nothing = { name: 'none', type: 'uint8', size: 0, array_len: Number.MAX_SAFE_INTEGER };
    const many = { name: 'many', type: 'uint8', size: 1, array_len: 1_000_000 };
    const inner = table([{ name: 'x', type: 'unused_buffer', size: 1 }, ...Array.from({ length: 500 }, () => nothing)]);
    const deep = { name: 'deep', type: 'struct', size: 1, array_len: 1_000_000, struct: inner };
    const listed = describedFields(table([nothing, many, deep]), Buffer.alloc(2_000_000));
    expect(listed?.fields.length).toBe(20_000);
    expect(listed?.omitted).toBeGreaterThan(980_000);
    const started = performance.now();
    describedFields(table([deep]), Buffer.alloc(1_000_000));
    expect(performance.now() - started).toBeLessThan(3000);
  });
});

describe('the description of all devices', () => {
  const text =
    '{"page_size": 4096, "devices": [{"name": "a", "instance_id": 0, "vmsd_name": "a", "version": 1, "fields": []}]}';
  const stream = (...parts: Buffer[]): ReturnType<typeof inMemory> => inMemory(Buffer.concat(parts));

  it.each([
    ['at the end', Buffer.alloc(0)],
    ["before a Godwit source's verdict", Buffer.from('0847010000', 'hex')],
    ['before other bytes', Buffer.alloc(3000, 6)],
  ])('is found %s', async (_, tail) => {
    const before = Buffer.alloc(1000, 6);
    const found = await findVmDescription(stream(before, vmdescription(text), tail));
    expect(found).toMatchObject({ offset: 1000, length: 5 + text.length, devices: [{ name: 'a' }] });
  });

  it('may have a length whose bytes look like its type', async () => {
    const long = text.replace('"a"', `"${'x'.repeat(0x606 - text.length + 1)}"`);
    expect(long.length).toBe(0x606);
    expect(await findVmDescription(stream(Buffer.alloc(7), vmdescription(long)))).toMatchObject({ offset: 7 });
  });

  it.each([
    ['an empty stream', Buffer.alloc(0)],
    ['a stream without one', Buffer.alloc(5000, 6)],
    ['one that is cut', vmdescription(text).subarray(0, -1)],
    ['one that is not JSON', vmdescription(text.replace('[', '('))],
    ['one of another form', vmdescription('{"devices": [{"name": 3}]}')],
    ['one with a size below 0', vmdescription(text.replace('[]', '[{"name": "f", "type": "uint8", "size": -1}]'))],
  ])('is not found in %s', async (_, bytes) => {
    expect(await findVmDescription(stream(bytes))).toBeUndefined();
  });

  it('that nests without end is refused', () => {
    const nested = '{"name":"f","type":"struct","size":1,"struct":{"fields":['.repeat(5000);
    const whole = `{"devices":[{"name":"a","instance_id":0,"fields":[${nested}${']}}'.repeat(5000)}]}]}`;
    expect(parseDevices(Buffer.from(whole))).toBeUndefined();
  });
});
