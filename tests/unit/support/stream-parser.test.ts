// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ReturnPathParser } from '../../support/return-path-parser.ts';
import { MainStreamParser } from '../../support/stream-parser.ts';
import type { StreamUnit } from '../../support/stream-parser.ts';

const fixture = (name: string): Buffer => readFileSync(new URL(`../../fixtures/microvm/${name}`, import.meta.url));

interface MappedSection {
  readonly at: number;
  readonly type: string;
  readonly name?: string;
  readonly instance_id?: number;
  readonly body_at?: number;
  readonly body_len?: number;
}

/** All units with positions in the whole stream. */
function parse(
  stream: Buffer,
  pieceBytes: (index: number) => number,
): { units: StreamUnit[]; parser: MainStreamParser } {
  const parser = new MainStreamParser();
  const units: StreamUnit[] = [];
  for (let at = 0, index = 0; at < stream.length; index += 1) {
    const piece = stream.subarray(at, (at += pieceBytes(index)));
    for (const unit of parser.push(piece).units) {
      const bodyStart = unit.bodyStart === undefined ? {} : { bodyStart: unit.bodyStart + parser.offset };
      units.push({ ...unit, start: unit.start + parser.offset, end: unit.end + parser.offset, ...bodyStart });
    }
  }
  return { units, parser };
}

function elementName(section: MappedSection): string {
  switch (section.type) {
    case 'CONFIGURATION':
      return 'configuration';
    case 'EOF':
      return 'eof';
    case 'VMDESCRIPTION':
      return 'vmdesc';
    case 'COMMAND':
      return 'command:SWITCHOVER_START';
    case 'FULL':
      return `section:${section.name ?? ''}/${String(section.instance_id)}`;
    default:
      return `ram:${section.type}`;
  }
}

describe.each(['qemu7-kvm-base', 'qemu10-kvm-base'])('the main stream of %s', (name) => {
  const stream = fixture(`${name}.mig`);
  const map = JSON.parse(fixture(`${name}.sections.json`).toString()) as MappedSection[];

  test('falls into the elements that were recorded with it, at their places', () => {
    const { units, parser } = parse(stream, () => stream.length);
    const found = units.filter((unit) => unit.element !== undefined).map((unit) => [unit.element, unit.start]);
    expect(found).toEqual([['header', 0], ...map.map((section) => [elementName(section), section.at])]);
    expect(parser.rest).toHaveLength(0);
    expect(parser.error).toBeUndefined();
    for (const section of map.filter(({ type }) => type === 'FULL')) {
      const unit = units.find(({ start }) => start === section.at);
      expect(unit?.bodyStart).toBe(section.body_at);
      expect(unit?.end).toBe((section.body_at ?? 0) + (section.body_len ?? 0) + 5);
    }
  });

  test('has no gap between its units, and every element ends', () => {
    const { units } = parse(stream, () => stream.length);
    let at = 0;
    for (const unit of units) {
      expect(unit.start).toBe(at);
      at = unit.end;
    }
    expect(at).toBe(stream.length);
    const begun = units.flatMap((unit) => unit.element ?? []);
    expect(units.flatMap((unit) => unit.ends ?? [])).toEqual(begun);
  });

  test('falls into the same units in any chunking', () => {
    const whole = parse(stream, () => stream.length).units;
    const seed = Date.now() % 2 ** 31;
    for (const most of [1, 7, 300, 5000]) {
      let state = seed;
      const random = (): number => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        return 1 + ((state >>> 8) % most);
      };
      expect(parse(stream, random).units, `seed ${String(seed)}, pieces up to ${String(most)}`).toEqual(whole);
    }
  });

  test('names the pages that it carries', () => {
    const { units } = parse(stream, () => stream.length);
    const pages = units.flatMap((unit) => unit.page ?? []);
    expect(
      pages.filter((page) => page.kind === 'zero').length + pages.filter((page) => page.kind === 'page').length,
    ).toBe(pages.length);
    expect(new Set(pages.map((page) => page.block))).toEqual(new Set(['microvm.ram', 'pc.bios']));
    expect(pages.filter((page) => page.block === 'microvm.ram')).toHaveLength((2 * 2 ** 20) / 4096);
    expect(pages[0]).toMatchObject({ offset: 0, named: true });
  });
});

describe('a stream that is not one', () => {
  test.each<[string, Buffer, string]>([
    ['bad magic', Buffer.from('hello, world'), 'not a stream of version 3 at byte 4'],
    ['bad type byte', Buffer.from('5145564d00000003070000000461626364ff', 'hex'), 'type byte 0xff at byte 18'],
  ])('with %s is an error with its place, and what follows is left alone', (_, bytes, message) => {
    const parser = new MainStreamParser();
    parser.push(bytes);
    expect(parser.error?.message).toBe(message);
    expect(parser.push(Buffer.from('more')).units).toEqual([]);
  });
});

test('the return path falls into messages in any chunking', () => {
  const bitmap = Buffer.concat([
    Buffer.from('000500020161', 'hex'), // the name `a`
    Buffer.from('0000000000000008', 'hex'),
    Buffer.alloc(8, 0xff),
    Buffer.from('0123456789abcdef', 'hex'),
  ]);
  const messages = [
    Buffer.from('0002000400000001', 'hex'),
    Buffer.from('0003000e000000000020d000000010000161', 'hex'),
    bitmap,
    Buffer.from('47010000', 'hex'),
    Buffer.from('0001000400000000', 'hex'),
  ];
  const stream = Buffer.concat(messages);
  for (let size = 1; size <= stream.length; size += 1) {
    const parser = new ReturnPathParser();
    const names: string[] = [];
    for (let at = 0; at < stream.length; at += size) {
      for (const unit of parser.push(stream.subarray(at, at + size)).units) names.push(unit.element ?? '');
    }
    expect(names, `pieces of ${String(size)}`).toEqual([
      'rp:PONG',
      'rp:REQ_PAGES_ID',
      'rp:RECV_BITMAP',
      'rp:LOADED',
      'rp:SHUT',
    ]);
  }
});
