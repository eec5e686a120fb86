// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';

import { describeSection } from '../../../src-main/machine/engine/vmstate/describe.ts';
import { loadSectionFromBytes } from '../../../src-main/machine/engine/vmstate/load.ts';
import { saveSection } from '../../../src-main/machine/engine/vmstate/save.ts';
import type { Table } from '../../../src-main/machine/engine/vmstate/table.ts';
import { describeConfiguration, vmdescText } from '../../../src-main/machine/engine/vmstate/vmdesc-text.ts';
import { cpuCommonTable } from '../../../src-main/machine/vm/sections/cpu-common.ts';
import { cpuTable } from '../../../src-main/machine/vm/sections/cpu.ts';
import { globalStateTable, globalStateTable90 } from '../../../src-main/machine/vm/sections/globalstate.ts';
import { serialTable } from '../../../src-main/machine/vm/sections/serial.ts';
import { timerTable } from '../../../src-main/machine/vm/sections/timer.ts';
import { readStream, STREAMS } from './streams.ts';
import type { CapturedSection } from './streams.ts';

interface Replayed {
  readonly payload: Uint8Array;
  readonly text: string;
}

async function replay<S extends object>(table: Table<S>, section: CapturedSection): Promise<Replayed> {
  const state = await loadSectionFromBytes(table, section.payload, section.version);
  const device = describeSection(table, section.name, section.instanceId, state as NoInfer<S>);
  const text = vmdescText(4096, [device]).slice('{"page_size": 4096, "devices": ['.length, -']}'.length);
  return { payload: saveSection(table, state as NoInfer<S>), text };
}

function replayNamed(section: CapturedSection, release: 7 | 10): Promise<Replayed> | undefined {
  switch (section.name) {
    case 'timer':
      return replay(timerTable, section);
    case 'cpu_common':
      return replay(cpuCommonTable, section);
    case 'cpu':
      return replay(cpuTable, section);
    case 'serial':
      return replay(serialTable, section);
    case 'globalstate':
      return release === 10 ? replay(globalStateTable90, section) : replay(globalStateTable, section);
    default:
      return undefined;
  }
}

describe.each(STREAMS)('the sections captured in %s', (name) => {
  const release = name.startsWith('qemu10') ? 10 : 7;
  const sections = readStream(name).sections.map((section) => ({
    section,
    title: `${section.name} ${section.instanceId}`,
    replayed: replayNamed(section, release),
  }));
  const known = sections.filter(({ replayed }) => replayed !== undefined);

  it('has every section of the machine', () => {
    const names = new Set(known.map(({ section }) => section.name));
    expect([...names].sort()).toEqual(['cpu', 'cpu_common', 'globalstate', 'serial', 'timer']);
  });

  it.each(known)('saves $title to the bytes it was loaded from', async ({ section, replayed }) => {
    expect(Buffer.from((await replayed)?.payload ?? []).toString('hex')).toBe(
      Buffer.from(section.payload).toString('hex'),
    );
  });

  it.each(known)('describes $title in the words of the capture', async ({ section, replayed }) => {
    expect((await replayed)?.text).toBe(section.text);
  });
});

describe('the description of a whole stream', () => {
  it('has a configuration in front where the release writes one', () => {
    const { vmdesc } = readStream('qemu10-kvm-base');
    const start = vmdescText(4096, [], describeConfiguration('microvm')).slice(0, -']}'.length);
    expect(vmdesc.startsWith(start)).toBe(true);
  });

  it('starts with the page size where it does not', () => {
    const { vmdesc } = readStream('qemu7-kvm-base');
    expect(vmdesc.startsWith(vmdescText(4096, []).slice(0, -']}'.length))).toBe(true);
  });
});
