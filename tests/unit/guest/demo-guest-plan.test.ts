// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { DemoGuestError, minimumMemoryBytes, planDemoGuest } from '../../../src-main/machine/vm/guest/demo-guest.ts';
import type { DemoGuestPlan, DemoGuestRequest } from '../../../src-main/machine/vm/guest/demo-guest.ts';
import { checksumWords } from '../../../src-main/machine/vm/guest/fixed-pages.ts';
import * as layout from '../../../src-main/machine/vm/guest/layout.ts';
import { paceIntervalNs } from '../../../src-main/machine/vm/guest/pace.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

const ordinary: DemoGuestRequest = {
  memoryBytes: 256 * MIB,
  vcpus: 2,
  dirtyRatePagesPerSecond: 20000,
  workingSetBytes: 128 * MIB,
  seed: 0x1234_5678_9abc_def0n,
  avx: true,
  rdtscp: false,
  code: new Uint8Array(5000).fill(0x90),
};

/** RAM up to the working set as the loader leaves it. */
function loaded(plan: DemoGuestPlan): DataView {
  const ram = new Uint8Array(plan.ownPages.end * layout.PAGE_SIZE);
  for (const { offset, bytes } of plan.writes) ram.set(bytes, offset);
  return new DataView(ram.buffer);
}

function parameter(view: DataView, offset: number): bigint {
  return view.getBigUint64(layout.PARAMETER_ADDRESS + offset, true);
}

/** Walks the page tables for a guest address; undefined where nothing is mapped. */
function translate(view: DataView, cr3: number, address: number): number | undefined {
  let table = cr3;
  for (const shift of [39, 30, 21]) {
    const entry = view.getBigUint64(table + (Math.floor(address / 2 ** shift) % 512) * 8, true);
    if ((entry & 1n) === 0n) return undefined;
    expect(entry & 0x66n).toBe(0x66n); // writable, user, accessed, dirty
    const target = Number(entry & 0x000f_ffff_ffff_f000n);
    if ((entry & 0x80n) !== 0n) return target + (address % 2 ** shift);
    table = target;
  }
  return undefined;
}

function refusal(change: Partial<DemoGuestRequest>): DemoGuestError {
  try {
    planDemoGuest({ ...ordinary, ...change });
  } catch (error) {
    if (error instanceof DemoGuestError) return error;
    throw error;
  }
  throw new Error('the plan was accepted');
}

describe('the plan of a demo guest', () => {
  it('gives every page of RAM to exactly one owner, for any size and number of vCPUs', () => {
    let state = 20240607;
    const random = (limit: number) => {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      return state % limit;
    };
    for (let round = 0; round < 60; round += 1) {
      const vcpus = 1 + random(16);
      const memoryBytes = minimumMemoryBytes(vcpus) + random(4096) * layout.PAGE_SIZE;
      const own = layout.ownPages(memoryBytes, vcpus);
      const room = memoryBytes / layout.PAGE_SIZE - own.end;
      const workingSetBytes = (vcpus + random(room - vcpus + 1)) * layout.PAGE_SIZE;
      const plan = planDemoGuest({ ...ordinary, memoryBytes, vcpus, workingSetBytes });
      let next = plan.ownPages.end;
      for (const range of [...plan.slices, ...plan.staticParts]) {
        expect([round, range.first]).toEqual([round, next]);
        next += range.length;
      }
      expect(next).toBe(memoryBytes / layout.PAGE_SIZE);
      const lengths = plan.slices.map((slice) => slice.length);
      expect(Math.min(...lengths)).toBeGreaterThanOrEqual(1);
      expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
      expect(plan.workingSetPages + plan.staticPages + plan.ownPages.end).toBe(next);
    }
  });

  it.each([1 * MIB, 256 * MIB, 3 * GIB, 4 * GIB, 64 * GIB])('maps all of %d bytes of RAM one to one', (memoryBytes) => {
    const plan = planDemoGuest({ ...ordinary, memoryBytes, vcpus: 1, workingSetBytes: 4096 });
    const view = loaded(plan);
    const pages = memoryBytes / layout.PAGE_SIZE;
    for (const page of [0, 1, pages >> 1, Math.floor(pages * 0.75) - 1, Math.floor(pages * 0.75), pages - 1]) {
      const address = layout.guestAddressOfPage(page);
      expect(translate(view, plan.entry.cr3, address)).toBe(address);
    }
  });

  it('starts each vCPU at the code with its index, the parameter page and a stack of its own', () => {
    const plan = planDemoGuest({ ...ordinary, vcpus: 3 });
    const view = loaded(plan);
    expect(plan.entry.vcpus.map((start) => start.rdi)).toEqual([0, 1, 2]);
    expect(new Set(plan.entry.stacks).size).toBe(3);
    for (const start of plan.entry.vcpus) {
      expect(start).toMatchObject({ rip: layout.CODE_ADDRESS, rsi: layout.PARAMETER_ADDRESS, rflags: 2 });
      expect(start.rsp).toBeLessThanOrEqual(plan.ownPages.end * layout.PAGE_SIZE);
    }
    expect(view.getUint8(layout.CODE_ADDRESS)).toBe(0x90);
    expect(parameter(view, layout.PARAM_MAGIC)).toBe(layout.MAGIC);
    expect(parameter(view, layout.PARAM_SEED)).toBe(ordinary.seed);
    expect(view.getUint32(layout.PARAMETER_ADDRESS + layout.PARAM_VCPUS, true)).toBe(3);
  });

  it('carries a checksum of every fixed page, with the task states busy as they are once the guest runs', () => {
    const plan = planDemoGuest(ordinary);
    const view = loaded(plan);
    const busy = layout.DESCRIPTOR_ADDRESS + layout.GDT_OFFSET + layout.SELECTOR_FIRST_TSS + 5;
    for (const vcpu of [0, 1]) {
      expect(view.getUint8(busy + vcpu * 16)).toBe(0x89);
      view.setUint8(busy + vcpu * 16, 0x8b);
    }
    for (let page = 0; page < plan.ownPages.fixed; page += 1) {
      if (page === layout.PARAMETER_ADDRESS / layout.PAGE_SIZE) continue;
      const sum = checksumWords(view, page * layout.PAGE_SIZE, layout.PAGE_SIZE);
      expect([page, parameter(view, layout.PARAM_CHECKSUMS + page * 8)]).toEqual([page, sum]);
    }
    expect(parameter(view, layout.PARAM_OWN_CHECKSUM)).toBe(
      checksumWords(view, layout.PARAMETER_ADDRESS, layout.PARAM_OWN_CHECKSUM),
    );
  });

  it('opens the serial port and the pace port to CPL 3 and no other', () => {
    const view = loaded(planDemoGuest(ordinary));
    const open = [];
    for (let port = 0; port < (layout.IO_BITMAP_BYTES - 1) * 8; port += 1) {
      const bits = view.getUint8(layout.DESCRIPTOR_ADDRESS + layout.IO_BITMAP_OFFSET + (port >> 3));
      if ((bits & (1 << (port & 7))) === 0) open.push(port);
    }
    expect(open).toEqual([0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x505, 0x506, 0x507, 0x508]);
  });

  it.each([1, 2, 3, 4, 7, 16])('asks for at least 1000 batches a second in all on %d vCPUs', (vcpus) => {
    const plan = planDemoGuest({ ...ordinary, vcpus });
    expect(plan.paceIntervalNs).toBe(paceIntervalNs(vcpus));
    expect((vcpus * 1e9) / plan.paceIntervalNs).toBeGreaterThanOrEqual(999.99);
    const perBatch = Number(parameter(loaded(plan), layout.PARAM_REWRITES_PER_BATCH)) / 2 ** 32;
    expect((perBatch * vcpus * 1e9) / plan.paceIntervalNs).toBeCloseTo(20000, 0);
  });

  it('checks everything in 1 to 4 seconds, or with a quarter of a core where that takes longer', () => {
    expect(planDemoGuest(ordinary)).toMatchObject({ checkPassSeconds: 1, checkPassCoversWorkingSet: false });
    const four = planDemoGuest({ ...ordinary, memoryBytes: 4 * GIB, workingSetBytes: 64 * MIB });
    expect(four.checkPassSeconds).toBe(4);
    const large = planDemoGuest({ ...ordinary, memoryBytes: 64 * GIB, workingSetBytes: 64 * MIB });
    expect(large.staticPages / large.checkPassSeconds).toBeLessThanOrEqual(500_000);
    expect(planDemoGuest({ ...ordinary, staticSweeps: 3 }).checkPassSeconds).toBeCloseTo(3 * 1.6384);
  });

  it('lets the check pass cover the working set too where sweeps are slow or there are none', () => {
    const slow = planDemoGuest({ ...ordinary, dirtyRatePagesPerSecond: 100 });
    expect(slow.checkPassCoversWorkingSet).toBe(true);
    const idle = planDemoGuest({ ...ordinary, dirtyRatePagesPerSecond: 0 });
    expect(idle).toMatchObject({ sweepSeconds: Infinity, checkPassCoversWorkingSet: true });
    expect(parameter(loaded(idle), layout.PARAM_REWRITES_PER_BATCH)).toBe(0n);
  });

  it('takes half of the memory as working set when none is asked for', () => {
    expect(planDemoGuest({ ...ordinary, workingSetBytes: undefined }).workingSetPages).toBe(32768);
  });

  it('says what is wrong and what would do', () => {
    const expectRefusal = (change: Partial<DemoGuestRequest>, code: DemoGuestError['code'], sentence: RegExp) => {
      const error = refusal(change);
      expect(error.code).toBe(code);
      expect(error.message).toMatch(sentence);
    };
    expectRefusal({ vcpus: 17 }, 'vcpus', /1 to 16/);
    expectRefusal({ memoryBytes: 4096 }, 'memory', /needs 1 MiB/);
    expectRefusal({ memoryBytes: 65 * GIB }, 'memory', /to 65536 MiB/);
    expectRefusal({ memoryBytes: 256 * MIB + 1 }, 'memory', /multiple of 4096/);
    expectRefusal({ workingSetBytes: 256 * MIB }, 'working-set', /does not fit/);
    expect(refusal({ workingSetBytes: 4096 }).message).toContain('each of the 2 vCPUs');
    expect(refusal({ dirtyRatePagesPerSecond: -1 }).code).toBe('dirty-rate');
    expect(refusal({ dirtyRatePagesPerSecond: Number.NaN }).code).toBe('dirty-rate');
    expect(refusal({ seed: 1n << 64n }).code).toBe('seed');
    expect(refusal({ staticSweeps: 2, dirtyRatePagesPerSecond: 0 }).code).toBe('static-sweeps');
    expect(refusal({ code: new Uint8Array(0) }).code).toBe('guest-code');
    expect(refusal({ code: new Uint8Array(3 * 4096 + 1) }).code).toBe('guest-code');
  });
});
