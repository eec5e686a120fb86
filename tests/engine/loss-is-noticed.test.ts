// SPDX-License-Identifier: Apache-2.0
// needs: kvm
/**
 * The demo's verdict is worth something only if it can be "no": whatever is lost on the way, the guest itself says so.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { native } from '../../src-main/machine/native/index.ts';
import { DEFAULT_CPU_MODEL, type CpuModelName } from '../../src-main/machine/vm/cpu/cpu-models.ts';
import { buildCpuid } from '../../src-main/machine/vm/cpu/cpuid.ts';
import { eventually, MigrationRig } from '../support/migration-rig.ts';
import type { StreamTransform } from '../support/stream-transform.ts';

const MIB = 1024 ** 2;
const memoryBytes = 64 * MIB;
const workingSetBytes = 16 * MIB;
const pages = memoryBytes / 4096;

let rig: MigrationRig | undefined;
afterEach(async () => {
  await rig?.dispose();
  rig = undefined;
});

/** Migrates through a proxy that does `transform`; the answer is the first CORRUPT line at the destination. */
async function reportAfter(transform: StreamTransform, cpu?: string): Promise<string> {
  rig = await MigrationRig.start({
    memoryBytes,
    workingSetBytes,
    dirtyRate: 20_000,
    ...(cpu !== undefined && { cpu }),
    proxy: () => ({ transform }),
  });
  // Every page has its stamp and every canary stands before anything is moved.
  await eventually(
    () => rig!.source.serial(),
    (text) => /static=[1-9]/.test(text),
    'a whole pass of the guest',
  );
  expect(await rig.migrate()).toBe('completed');
  const text = await eventually(
    () => rig!.destination.serial(),
    // The whole line: the guest writes it byte by byte.
    (seen) => /CORRUPT [^\r\n]+[\r\n]/.test(seen),
    'the guest to notice',
  );
  return /CORRUPT [^\r\n]*/.exec(text)?.[0] ?? '';
}

/** Drops every record of one page, whatever round it comes in. */
const dropping = (offset: number): StreamTransform => ({
  ramPage: (page) => (page.offset === offset ? 'drop' : undefined),
});

describe('a page that is lost in flight', () => {
  // The guest's own pages come first, then the working set, then static memory, in which every fourth page is zero.
  const seed = 20_261_123;
  const random = (salt: number, below: number): number => ((seed ^ (salt * 0x9e3779b9)) >>> 0) % below;
  const workingSetPage = 1024 + random(1, 2048);
  const staticCandidate = 6144 + random(2, pages - 6144 - 8);

  it(`is reported by number when it belongs to the working set (page ${workingSetPage})`, async () => {
    expect(await reportAfter(dropping(workingSetPage * 4096))).toContain(`page=${workingSetPage}`);
  });

  it('is reported by number when it belongs to memory that is only read', async () => {
    let dropped: number | undefined;
    // The first page with contents from the candidate on: a zero page that is lost loses nothing.
    const report = await reportAfter({
      ramPage: ({ offset }, body) => {
        const page = offset / 4096;
        if (dropped === undefined && page >= staticCandidate && body.some((byte) => byte !== 0)) dropped = page;
        return page === dropped ? 'drop' : undefined;
      },
    });
    expect(report).toContain(`page=${String(dropped)}`);
  });

  it('is reported when only its content is exchanged for another page’s', async () => {
    const report = await reportAfter({
      ramPage: ({ offset }, body) =>
        offset === (workingSetPage + 1) * 4096 ? Buffer.alloc(body.length, 0xa5) : undefined,
    });
    expect(report).toContain(`page=${workingSetPage + 1}`);
  });
});

/** Fields of the `cpu` section, version 12: where each lies, and what a vCPU that lost it would hold. */
const groups: readonly {
  group: string;
  offset: number;
  bytes: Uint8Array;
  report: RegExp;
  cpu?: CpuModelName;
  feature?: string;
}[] = [
  { group: 'the general register that counts generations', offset: 3 * 8, bytes: new Uint8Array(8), report: /page=/ },
  { group: 'the x87 registers', offset: 156, bytes: new Uint8Array(80), report: /reg=fpu/ },
  { group: 'the x87 control word', offset: 148, bytes: Uint8Array.of(0x03, 0x7f), report: /reg=fpu/ },
  { group: 'MXCSR', offset: 556, bytes: Uint8Array.of(0, 0, 0x1f, 0x80), report: /reg=mxcsr/ },
  { group: 'the XMM registers', offset: 560, bytes: new Uint8Array(256), report: /reg=xmm/ },
  {
    group: 'the upper halves of the YMM registers',
    offset: 1561,
    bytes: new Uint8Array(256),
    report: /reg=ymm/,
    cpu: 'x86-64-v3',
    feature: 'avx',
  },
  { group: 'the FS base', offset: 236 + 4 * 20 + 4, bytes: new Uint8Array(8), report: /reg=fsbase/ },
  { group: 'the GS base', offset: 236 + 5 * 20 + 4, bytes: new Uint8Array(8), report: /reg=gsbase/ },
  { group: 'KERNEL_GS_BASE', offset: 856, bytes: new Uint8Array(8), report: /reg=kernelgsbase/ },
  { group: 'LSTAR', offset: 832, bytes: new Uint8Array(8), report: /reg=lstar/ },
  { group: 'TSC_AUX', offset: 1521, bytes: new Uint8Array(8), report: /reg=tsc_aux/, feature: 'rdtscp' },
  { group: 'the debug address registers', offset: 488, bytes: new Uint8Array(32), report: /reg=dr/ },
];

describe('vCPU state that is lost in flight', () => {
  it.for(groups)('is reported by the guest: $group', async ({ offset, bytes, report, cpu, feature }, { skip }) => {
    const { features } = buildCpuid(cpu ?? DEFAULT_CPU_MODEL, native.supportedCpuid());
    if (feature !== undefined && !features.includes(feature)) skip(`this KVM gives guests no ${feature}`);
    const overwrite = [{ section: 'cpu/0', offset, bytes }];
    expect(await reportAfter({ overwrite }, cpu)).toMatch(report);
  });

  it('is reported by the machine when the guest cannot even run: the instruction pointer', async () => {
    rig = await MigrationRig.start({
      proxy: () => ({ transform: { overwrite: [{ section: 'cpu/0', offset: 128, bytes: new Uint8Array(8) }] } }),
    });
    expect(await rig.migrate()).toBe('completed');
    const { destination } = rig;
    await eventually(
      () => destination.runState(),
      (state) => state === 'internal-error',
      'the crash to be seen',
    );
    expect(destination.process.lastWords()).toMatch(/vCPU 0 cannot go on/);
  });
});
