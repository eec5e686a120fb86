// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import type { DemoProgress } from '../../../src-main/manager/demo.ts';
import type { MigrationSample } from '../../../src-main/manager/demo/types.ts';
import { ProgressDisplay } from '../../../src-main/shells/cli/progress-display.ts';
import { progressLines } from '../../../src-main/shells/cli/demo-progress.ts';
import { introduction, summary } from '../../../src-main/shells/cli/demo-summary.ts';
import { formatCount, formatDuration } from '../../../src-main/shells/cli/style.ts';

const MIB = 1024 ** 2;
const plain = { columns: Number.POSITIVE_INFINITY, color: false, bars: false };

function migrating(sample: Partial<MigrationSample>): DemoProgress {
  const migration: MigrationSample = {
    status: 'active',
    pass: 1,
    transferredBytes: 64 * MIB,
    remainingBytes: 192 * MIB,
    totalBytes: 256 * MIB,
    throughput: 600 * MIB,
    dirtyBytesPerSecond: 0,
    downtimeLimitMs: 300,
    ...sample,
  };
  return { phase: 'migrating', uri: 'unix:/x', migration, generation: 1000, generationRate: 19980.4, elapsedMs: 1240 };
}

describe('progress', () => {
  test('is a percentage in pass 1', () => {
    expect(progressLines(migrating({}), plain)).toEqual([
      'Copying memory, the guest runs · pass 1 · 1.24 s',
      '25 %',
      '600 MiB/s · 192 MiB left · guest 19,980 generations/s',
    ]);
  });

  test('is the distance to switchover from pass 2 on, and never a percentage', () => {
    const sample = { pass: 2, remainingBytes: 450 * MIB, dirtyBytesPerSecond: 78 * MIB };
    expect(progressLines(migrating(sample), plain)).toEqual([
      'Copying memory, the guest runs · pass 2 · 1.24 s',
      'distance to switchover: 2.5 × what fits into 300 ms',
      '600 MiB/s · guest dirties 78 MiB/s · 450 MiB left · guest 19,980 generations/s',
    ]);
  });

  test('says when what is left fits, and when the throughput is not known', () => {
    expect(progressLines(migrating({ pass: 3, remainingBytes: MIB }), plain)[1]).toBe(
      'what is left fits into a pause of 300 ms',
    );
    expect(progressLines(migrating({ pass: 2, throughput: 0 }), plain)[1]).toBe('distance to switchover not known yet');
  });

  test('has a meter whose end snaps to the first mark beyond the distance', () => {
    const meter = (remainingMiB: number): string =>
      progressLines(migrating({ pass: 2, remainingBytes: remainingMiB * MIB }), { ...plain, bars: true })[1] ?? '';
    expect(meter(360)).toMatch(/^█{24} distance to switchover: 2\.0 ×/); // of 2
    expect(meter(450)).toMatch(/^█{12}░{12} /); // 2.5 of 5
    expect(meter(1e6)).toMatch(/^█{24} /); // far beyond the last mark
  });

  test('never shows text of the peer as it came', () => {
    expect(progressLines(migrating({ status: 'bad\u001b[2J' }), plain)[0]).toMatch(/^Migration: bad ·/);
  });

  test('is never wider than the terminal, and its escape sequences are whole', () => {
    for (const columns of [20, 40, 79]) {
      for (const line of progressLines(migrating({ pass: 2 }), { columns, color: true, bars: true })) {
        // eslint-disable-next-line no-control-regex
        expect(line).toMatch(/^\u001b\[\d+m[^\u001b]*\u001b\[0m$/);
        // eslint-disable-next-line no-control-regex
        expect(line.replace(/\u001b\[\d+m/g, '').length).toBeLessThanOrEqual(columns);
      }
    }
  });
});

describe('the display', () => {
  const record = (redraw: boolean) => {
    const written: string[] = [];
    let now = 0;
    const out = { write: (text: string) => written.push(text), columns: 80 };
    const display = new ProgressDisplay(out, { redraw, color: false }, progressLines, () => now);
    return {
      written,
      display,
      at: (time: number) => {
        now = time;
      },
    };
  };

  test('redraws in place, ten times a second at most', () => {
    const { written, display, at } = record(true);
    display.show({ phase: 'starting' });
    for (let time = 0; time <= 1000; time += 10) {
      at(time);
      display.show(migrating({}));
    }
    display.clear();
    const text = written.join('');
    expect(text.match(/Copying memory/g)).toHaveLength(11);
    expect(text).toContain('\u001b[1A\r\u001b[J'); // over the one line of the first phase
    expect(text.endsWith('\u001b[3A\r\u001b[J')).toBe(true);
  });

  test('writes plain lines without a terminal: at each phase and once a second', () => {
    const { written, display, at } = record(false);
    display.show({ phase: 'starting' });
    for (let time = 0; time < 3000; time += 100) {
      at(time);
      display.show(migrating({}));
    }
    display.clear();
    expect(written).toHaveLength(4);
    // eslint-disable-next-line no-control-regex
    expect(written.join('')).not.toMatch(/[\u001b\r]/);
    expect(written.every((line) => line.endsWith('\n'))).toBe(true);
  });
});

describe('the summary', () => {
  const options = {
    mode: 'precopy',
    memoryBytes: 256 * MIB,
    cpus: 1,
    dirtyRate: 20000,
    workingSetBytes: 128 * MIB,
  } as const;

  test('names what was asked', () => {
    expect(introduction({ ...options, uri: 'tcp:[::1]:0' }, false)).toBe(
      'godwit demo: a live guest (256 MiB, 1 vCPU, rewriting 20,000 pages/s over 128 MiB) moves over tcp:[::1]:0\n\n',
    );
  });

  test('tells the three numbers apart and gives the verdict', () => {
    const text = summary(
      {
        mode: 'precopy',
        verified: true,
        pids: { source: 11, destination: 12 },
        events: [],
        source: { 'total-time': 1240, downtime: 48, ram: { transferred: 412 * MIB, 'dirty-sync-count': 4 } },
        destination: { runstate: 'running' },
        guest: {
          generationBefore: 1000,
          generationAtStop: 25802,
          generationAfter: 85925,
          sweepsAfter: 2,
          corrupt: 0,
          longestPauseMs: 52.4,
        },
      },
      options,
      false,
    );
    expect(text.split('\n')).toEqual([
      'Moved from process 11 to 12.',
      '  total time      1.24 s',
      '  downtime        48 ms (measured by the source)',
      '  longest pause   52 ms (seen by the guest)',
      '  passes          4',
      '  moved           412 MiB for 256 MiB of memory',
      '  throughput      332 MiB/s',
      '  guest meanwhile 24,802 generations',
      '  guest since     60,123 generations, running',
      'Continuity verified: no corruption, generations strictly continuing, 2 full sweeps after the move.',
      '',
    ]);
  });
});

test.each([
  [0.04, '0 ms'],
  [4.25, '4.3 ms'],
  [48, '48 ms'],
  [999.6, '1.00 s'],
  [1240, '1.24 s'],
  [12_340, '12.3 s'],
  [125_000, '2 min 05 s'],
])('%d milliseconds read %s', (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});

test.each([
  [0, '0'],
  [999, '999'],
  [1000, '1,000'],
  [1234567.6, '1,234,568'],
])('%d reads %s', (value, text) => {
  expect(formatCount(value)).toBe(text);
});
