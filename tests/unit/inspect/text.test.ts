// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { FieldReport, InspectReport } from '../../../src-main/machine/inspect/report.ts';
import { inspectDocument } from '../../../src-main/shells/cli/inspect-document.ts';
import { fieldLines } from '../../../src-main/shells/cli/inspect-fields.ts';
import { inspectText } from '../../../src-main/shells/cli/inspect-text.ts';
import { tableLines } from '../../../src-main/shells/cli/text-table.ts';

const field = (path: string, type: string, value: FieldReport['value']): FieldReport => ({
  path,
  type,
  offset: 0,
  size: 1,
  value,
});

const report = (more: Partial<InspectReport>): InspectReport => ({
  file: 'stream',
  bytes: 100,
  commands: [],
  sections: [],
  notes: [],
  ...more,
});

describe('values of a section', () => {
  it('stand in aligned lines, without those that are 0', () => {
    const { fields, omitted } = fieldLines([
      field('env.eip', 'uint64', 0xfff0n),
      field('a', 'int32', -1),
      field('b', 'uint8', 0),
      field('c', 'bool', false),
      field('d', 'buffer', new Uint8Array(4)),
      field('when', 'timer', -1n),
      field('then', 'timer', 5n),
      field('state', 'buffer', Buffer.from('running\0\0\0')),
      field(
        'data',
        'buffer',
        Uint8Array.from({ length: 40 }, (_, index) => index),
      ),
    ]);
    expect(fields).toEqual([
      'env.eip  uint64  0xfff0 (65520)',
      'a        int32   -1',
      'when     timer   not armed',
      'then     timer   5 ns',
      "state    buffer  'running'",
      'data     buffer  000102030405060708090a0b0c0d0e0f… (40 bytes)',
    ]);
    expect(omitted).toBe(3);
  });

  it('that are equal neighbours in an array share a line', () => {
    const items = [7, 7, 7, 8, 7].map((value, index) => field(`env.lvt[${index}]`, 'uint8', value));
    expect(fieldLines(items).fields).toEqual([
      'env.lvt[0–2]  uint8  7',
      'env.lvt[3]    uint8  8',
      'env.lvt[4]    uint8  7',
    ]);
  });
});

describe('the report', () => {
  it('escapes whatever comes from the stream', () => {
    const evil = '\u001b]0;owned\u0007\u202e\n';
    const payload = { offset: 0, length: 1, decodedBy: 'table', fieldsOmitted: 0 } as const;
    const section = { offset: 8, length: 9, count: 1, id: 1, instance: 0, version: 1, packaged: false } as const;
    const counts = { normal: 0, zero: 0, xbzrle: 0, compressed: 0, pages: 0 };
    const text = inspectText(
      report({
        file: evil,
        version: 3,
        configuration: {
          offset: 8,
          length: 9,
          machine: evil,
          subsections: [{ name: evil, version: 1, capabilities: [evil] }],
        },
        commands: [
          { offset: 1, length: 5, number: 10, name: 'RECV_BITMAP', packaged: false, details: { block: evil } },
        ],
        sections: [
          {
            ...section,
            type: 'full',
            idstr: evil,
            payload: { ...payload, fields: [field(evil, evil, Buffer.from(evil))] },
          },
        ],
        ram: { totalBytes: 4096, rounds: 1, multifdFlushes: 0, blocks: [{ name: evil, usedBytes: 4096, ...counts }] },
        notes: [evil],
      }),
      false,
    );
    expect(text).not.toMatch(/[^\P{C}\n]/u);
    expect(text.match(/\\x1b\]0;owned/g)?.length).toBeGreaterThanOrEqual(9);
  });

  it('says what is not complete, and is coloured on request only', () => {
    const text = inspectText(report({ version: 3, error: { offset: 42, reason: 'x' } }), true);
    expect(text).toContain('not complete: see byte 42');
    expect(text).toContain('\u001b[1mStream\u001b[0m');
  });

  it('as JSON has 64-bit values as text and buffers as hexadecimal', () => {
    const fields = [
      field('a', 'uint64', 2n ** 64n - 1n),
      field('b', 'buffer', new Uint8Array(5000)),
      field('c', 'bool', true),
    ];
    const payload = { offset: 0, length: 1, decodedBy: 'description', fields, fieldsOmitted: 0 } as const;
    const section = { offset: 8, length: 9, count: 1, id: 1, instance: 0, version: 1, packaged: false } as const;
    const document = inspectDocument(report({ sections: [{ ...section, type: 'full', idstr: 'cpu', payload }] }));
    expect(document).toMatchObject({
      sections: [{ payload: { fields: [{ value: '18446744073709551615' }, { truncated: true }, { value: true }] } }],
    });
  });
});

describe('a table', () => {
  it('has columns as wide as their longest cell', () => {
    const columns = [{ title: 'name', align: 'left' } as const, { title: 'n', align: 'right' } as const];
    expect(
      tableLines(columns, [
        ['x', '1,000'],
        ['longer', ''],
      ]),
    ).toEqual(['name        n', 'x       1,000', 'longer']);
  });
});
