// SPDX-License-Identifier: Apache-2.0
// needs: kvm
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { qemuStreams, recordMicrovm } from '../support/hostile/corpus.ts';
import type { LoadLine } from '../support/hostile/load-report.ts';
import { runLoadWorkers } from '../support/hostile/load-workers.ts';
import { loadIntoProcess } from '../support/hostile/process-load.ts';
import { dissect, mutate, neighbourhood, type DissectedStream } from '../support/hostile/stream-mutations.ts';
import { saveStreams, type ValidStream } from '../support/hostile/valid-stream.ts';
import { seeded } from '../unit/vmstate/seeded.ts';

/** GODWIT_MUTATION repeats one mutation of a seed. */
const chosen = process.env['GODWIT_MUTATION'];
const [first, end] = chosen === undefined ? [0, 2200] : [Number(chosen), Number(chosen) + 1];
/** Mutations into whole processes: others than those of the workers. */
const firstOfProcesses = 1_000_000;
const processLoads = 100;
const seed = seeded(0).seed;

let folder = '';
let streams: ValidStream[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-mutated-'));
  streams = [...qemuStreams(), await recordMicrovm()];
  saveStreams(folder, streams);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** What it takes to see a fault again; the streams themselves are kept, since one of them is recorded anew each time. */
function report(faults: readonly LoadLine[]): string {
  const kept = join(import.meta.dirname, '..', '..', 'build', 'mutated-streams');
  return faults
    .map(({ index, fault, stream, steps, bytes }) => {
      const from = join(folder, `mutation-${index}.bin`);
      const to = join(kept, `seed-${seed}-mutation-${index}.bin`);
      mkdirSync(kept, { recursive: true });
      if (existsSync(from)) renameSync(from, to);
      return `GODWIT_SEED=${seed} GODWIT_MUTATION=${index} (${stream}: ${steps?.join(', ')}): ${fault}\n${bytes}\n${to}`;
    })
    .join('\n\n');
}

function summary(lines: readonly LoadLine[]): string {
  const count = (outcome: string): number => lines.filter((line) => line.outcome === outcome).length;
  const slowest = Math.max(...lines.map(({ milliseconds }) => milliseconds));
  const growth = Math.max(...lines.map(({ growthBytes }) => growthBytes)) / 1024 ** 2;
  const outcomes = ['completed', 'failed', 'waiting', 'cancelled'].map((outcome) => `${count(outcome)} ${outcome}`);
  return `seed ${seed}: ${lines.length} loads, ${outcomes.join(', ')}; slowest ${slowest.toFixed(0)} ms, growth ≤ ${growth.toFixed(1)} MiB`;
}

describe('a destination that is sent a mutated stream', () => {
  it('ends each load with one sentence, in bounded memory and without a leftover', { timeout: 600_000 }, async () => {
    const { lines, deaths } = await runLoadWorkers(folder, first, end);
    const faults = lines.filter(({ fault }) => fault !== undefined);
    process.stdout.write(`${summary(lines)}\n`);
    expect(deaths, `seed ${seed}: a process died or hung`).toEqual([]);
    expect(faults.length, report(faults)).toBe(0);
    expect(lines).toHaveLength(end - first);
    if (chosen !== undefined) return;
    // Mutations that all fail at once, or that change nothing, would test little.
    for (const outcome of ['completed', 'failed', 'cancelled']) {
      expect(lines.filter((line) => line.outcome === outcome).length, outcome).toBeGreaterThan(20);
    }
  });

  it.skipIf(chosen !== undefined)('ends its process in order', { timeout: 300_000 }, async () => {
    const corpus = streams.map(dissect);
    const queue = Array.from({ length: processLoads }, (_, index) => firstOfProcesses + index);
    const faults: string[] = [];
    await Promise.all([loadFromQueue('a'), loadFromQueue('b')]);
    expect(faults.join('\n\n')).toBe('');

    async function loadFromQueue(name: string): Promise<void> {
      const sockets = mkdtempSync(join(folder, name));
      for (let index = queue.shift(); index !== undefined; index = queue.shift()) {
        const fault = await loadOne(corpus, index, sockets);
        if (fault !== undefined) faults.push(fault);
      }
    }
  });
});

async function loadOne(
  corpus: readonly DissectedStream[],
  index: number,
  sockets: string,
): Promise<string | undefined> {
  const mutated = mutate(corpus, seeded(index));
  const { fault, exit } = await loadIntoProcess(mutated, sockets);
  if (fault === undefined) return undefined;
  const kept = join(tmpdir(), `godwit-seed-${seed}-mutation-${index}.bin`);
  writeFileSync(kept, mutated.bytes);
  const steps = `${mutated.base.name}: ${mutated.steps.join(', ')}`;
  return `seed ${seed}, mutation ${index} (${steps}): ${fault} ${JSON.stringify(exit)}\n${neighbourhood(mutated)}\n${kept}`;
}
