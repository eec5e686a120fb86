// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as layout from '../../../src-main/machine/vm/guest/layout.ts';

/** `.equ NAME, VALUE` of the assembler's include file, by name. */
function assemblerConstants(): Map<string, number> {
  const text = readFileSync(new URL('../../../assets/demo-guest/layout.inc', import.meta.url), 'utf8');
  const constants = new Map<string, number>();
  for (const [, name, value] of text.matchAll(/^\.equ (\w+), (0x[0-9a-f]+|\d+)(?=\s|$)/gm)) {
    if (name !== undefined) constants.set(name, Number(value));
  }
  return constants;
}

describe('the layout that the assembly and the loader share', () => {
  const constants = assemblerConstants();
  const numbers = new Map(
    Object.entries(layout).flatMap(([name, value]) => (typeof value === 'number' ? [[name, value] as const] : [])),
  );
  /** Numbers that only the loader needs. */
  const loaderOnly = new Set(['PML4_PAGE', 'PDPT_PAGE', 'FIRST_DIRECTORY_PAGE', 'MAX_VCPUS', 'MAX_MEMORY_BYTES']);

  it('has every assembler constant with the same value in TypeScript', () => {
    expect(constants.size).toBeGreaterThan(50);
    for (const [name, value] of constants) expect([name, numbers.get(name)]).toEqual([name, value]);
  });

  it('has every number of TypeScript in the assembly too, but for the loader’s own', () => {
    for (const name of numbers.keys()) expect([name, constants.has(name)]).toEqual([name, !loaderOnly.has(name)]);
  });

  it('keeps the structures of a page apart', () => {
    const last = layout.MAX_VCPUS - 1;
    expect(layout.IDT_OFFSET + layout.IDT_LIMIT).toBeLessThan(layout.GDT_OFFSET);
    expect(layout.SELECTOR_FIRST_TSS + last * 16 + 15).toBeLessThanOrEqual(layout.GDT_LIMIT);
    expect(layout.GDT_OFFSET + layout.GDT_LIMIT).toBeLessThan(layout.TSS_OFFSET);
    expect(layout.TSS_OFFSET + (last + 1) * layout.TSS_SIZE).toBeLessThanOrEqual(layout.IO_BITMAP_OFFSET);
    expect(layout.IO_BITMAP_OFFSET + layout.IO_BITMAP_BYTES).toBeLessThanOrEqual(layout.PAGE_SIZE);
    expect((layout.PACE_PORT + 3) >> 3).toBeLessThan(layout.IO_BITMAP_BYTES - 1);
    expect(layout.PARAM_VCPU_TABLE + (last + 1) * layout.VCPU_RECORD_SIZE).toBeLessThanOrEqual(layout.PARAM_CHECKSUMS);
    const largest = layout.ownPages(layout.MAX_MEMORY_BYTES, layout.MAX_VCPUS);
    expect(layout.PARAM_CHECKSUMS + largest.fixed * 8).toBeLessThanOrEqual(layout.PARAM_OWN_CHECKSUM);
    expect(layout.SHARED_BATCHES + (last + 1) * layout.SHARED_BATCH_STRIDE).toBeLessThanOrEqual(layout.PAGE_SIZE);
  });

  it('maps RAM around the hole below 4 GiB', () => {
    const gib = 2 ** 30 / layout.PAGE_SIZE;
    expect(layout.guestAddressOfPage(3 * gib - 1)).toBe(3 * 2 ** 30 - layout.PAGE_SIZE);
    expect(layout.guestAddressOfPage(3 * gib)).toBe(4 * 2 ** 30);
    expect(layout.ownPages(3 * 2 ** 30, 1).directories).toBe(3);
    expect(layout.ownPages(3 * 2 ** 30 + layout.PAGE_SIZE, 1).directories).toBe(5);
    expect(layout.ownPages(64 * 2 ** 30, 1).directories).toBe(65);
  });
});
