// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';

import { blankState } from '../../../src-main/machine/engine/vmstate/blank-state.ts';
import { bufferSource } from '../../../src-main/machine/engine/vmstate/byte-source.ts';
import { loadSection, loadSectionFromBytes } from '../../../src-main/machine/engine/vmstate/load.ts';
import { saveSection } from '../../../src-main/machine/engine/vmstate/save.ts';
import type { Table } from '../../../src-main/machine/engine/vmstate/table.ts';
import { VmstateError } from '../../../src-main/machine/engine/vmstate/vmstate-error.ts';
import { cpuCommonTable } from '../../../src-main/machine/vm/sections/cpu-common.ts';
import { cpuTable } from '../../../src-main/machine/vm/sections/cpu.ts';
import type { CpuState } from '../../../src-main/machine/vm/sections/cpu.ts';
import {
  globalStateSection,
  globalStateSection90,
  globalStateTable,
  globalStateTable90,
  readGlobalState,
} from '../../../src-main/machine/vm/sections/globalstate.ts';
import { sectionToSerial, serialTable, serialToSection } from '../../../src-main/machine/vm/sections/serial.ts';
import { timerTable } from '../../../src-main/machine/vm/sections/timer.ts';
import { randomState } from './random-state.ts';
import { seeded } from './seeded.ts';
import type { Random } from './seeded.ts';

const END = Uint8Array.of(0x7e);

function randomCpu(random: Random): CpuState {
  const checked = {
    fpregsFormat: 0,
    interruptInjected: random.below(257) - 1,
    exceptionNr: random.below(33) - 1,
    mpState: random.below(5),
  };
  return { ...randomState(cpuTable, random), ...checked };
}

function randomSerial(random: Random) {
  const section = randomState(serialTable, random);
  const fifo = () => ({ data: random.bytes(16), head: random.below(16), count: 1 + random.below(16) });
  return { state: { ...section.state, receiveFifo: fifo(), transmitFifo: fifo() } };
}

const SECTIONS: readonly { name: string; table: Table<object>; random: (random: Random) => object }[] = [
  { name: 'timer', table: timerTable, random: (random) => randomState(timerTable, random) },
  { name: 'cpu_common', table: cpuCommonTable, random: (random) => randomState(cpuCommonTable, random) },
  { name: 'cpu', table: cpuTable, random: randomCpu },
  { name: 'serial', table: serialTable, random: randomSerial },
  { name: 'globalstate', table: globalStateTable, random: () => globalStateSection('running') },
  { name: 'globalstate of 9.0', table: globalStateTable90, random: () => globalStateSection90('paused', true) },
];

const { opmask, zmmHigh, hi16Zmm } = blankState(cpuTable);

describe.each(SECTIONS)('the section $name', ({ name, table, random: randomOf }) => {
  const rounds = Array.from({ length: 20 }, (_, round) => seeded(4000 + round));

  it.each(rounds)('gives back any state, seed $seed', async (random) => {
    const state = randomOf(random);
    expect(await loadSectionFromBytes(table, saveSection(table, state), table.version)).toEqual(state);
  });

  it('is refused wherever it is cut', async () => {
    const random = seeded(4100);
    // One run of fixed fields as long as all others together: without it, this takes half the time.
    const withoutAvx512 = name === 'cpu' ? { opmask, zmmHigh, hi16Zmm } : {};
    const bytes = Buffer.concat([saveSection(table, { ...randomOf(random), ...withoutAvx512 }), END]);
    for (let length = 0; length < bytes.length; length++) {
      const loading = loadSection(table, bufferSource(bytes.subarray(0, length)), table.version);
      await expect(loading, `seed ${random.seed}, cut after ${length}`).rejects.toThrow(VmstateError);
    }
  });
});

describe('the cpu section', () => {
  const load = (change: Partial<CpuState>) =>
    loadSectionFromBytes(cpuTable, saveSection(cpuTable, { ...blankState(cpuTable), ...change }), 12);

  it.each([
    [{ fpregsFormat: 1 }, 'section cpu: x87 registers in format 1, only format 0 is known'],
    [{ interruptInjected: 256 }, 'section cpu: interrupt 256 does not exist'],
    [{ exceptionNr: -2 }, 'section cpu: exception -2 does not exist'],
    [{ mpState: 5 }, 'section cpu: multiprocessor state 5 is not known'],
  ])('is refused when no CPU can be like that: %o', async (change, message) => {
    await expect(load(change)).rejects.toThrow(message);
  });

  it.each(['cpu/mpx', 'cpu/nested_state', 'cpu/msr_hyperv_synic', 'cpu/intel_amx_xtile', 'cpu/pkrs', 'cpu/fred'])(
    'is refused with the name of a subsection that no model here needs: %s',
    async (name) => {
      const subsection = Buffer.concat([Buffer.from([5, name.length]), Buffer.from(name), Buffer.from([0, 0, 0, 1])]);
      const payload = Buffer.concat([saveSection(cpuTable, blankState(cpuTable)), subsection]);
      await expect(loadSectionFromBytes(cpuTable, payload, 12)).rejects.toThrow(
        `section cpu: subsection ${name} is not known to this machine`,
      );
    },
  );
});

describe('the serial section', () => {
  const port = { divider: 12, rbr: 1, ier: 2, iir: 1, lcr: 3, mcr: 8, lsr: 0x60, msr: 0xb0, scr: 9, fcr: 0x81 };

  it('holds the registers of a port and no subsection', async () => {
    const bytes = saveSection(serialTable, serialToSection(port));
    expect(bytes.length).toBe(11);
    expect(sectionToSerial(await loadSectionFromBytes(serialTable, bytes, 3))).toEqual({ port, losses: [] });
  });

  it('says which bytes a port without FIFOs loses', () => {
    const section = serialToSection(port);
    section.state.receiveFifo.count = 3;
    section.state.transmitFifo.count = 2;
    section.state.tsrRetry = 1;
    expect(sectionToSerial(section).losses).toEqual([
      '3 received bytes that the guest has not read',
      '3 bytes that the serial port has not sent',
    ]);
  });

  it('is refused when a FIFO holds more than it can', async () => {
    const section = serialToSection(port);
    section.state.receiveFifo.count = 17;
    await expect(loadSectionFromBytes(serialTable, saveSection(serialTable, section), 3)).rejects.toThrow(
      'section serial: Fifo8: 17 bytes in a FIFO of 16',
    );
  });
});

describe('the globalstate section', () => {
  const load = (payload: Uint8Array) => loadSectionFromBytes(globalStateTable, payload, 1);

  it('says the run state in either form', async () => {
    const older = await load(saveSection(globalStateTable, globalStateSection('running')));
    expect(readGlobalState(older)).toEqual({ runState: 'running' });
    const newer = await load(saveSection(globalStateTable90, globalStateSection90('suspended', true)));
    expect(readGlobalState(newer)).toEqual({ runState: 'suspended', wasSuspended: true });
  });

  it('counts the text with its NUL', () => {
    expect(globalStateSection('running').size).toBe(8);
    expect(globalStateSection90('prelaunch').size).toBe(10);
  });

  it('is refused when the run state is not known or too long', async () => {
    const section = globalStateSection('dancing');
    await expect(load(saveSection(globalStateTable, section))).rejects.toThrow(
      'section globalstate: run state "dancing" is not known',
    );
    await expect(load(saveSection(globalStateTable, { ...globalStateSection('running'), size: 101 }))).rejects.toThrow(
      'section globalstate: a run state of 101 bytes in a field of 100',
    );
  });
});
