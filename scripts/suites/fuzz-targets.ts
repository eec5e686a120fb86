// SPDX-License-Identifier: Apache-2.0
// The fuzz targets over the C++ core (libFuzzer under ASan+UBSan), each for a while.
import { globSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { root, runCommand } from './command.ts';
import { buildCxx } from './cxx-build.ts';
import type { Outcome } from './outcome.ts';
import { failure, nothing, sum } from './outcome.ts';

/** Of all targets together. */
const SECONDS = { short: 60, long: 600 } as const;
const PARALLEL = 2;
/** An input that takes longer hangs. */
const INPUT_SECONDS = 5;
/** A target's own memory, sanitizers included, and what no input may exceed. */
const RSS_LIMIT_MB = 512;
/** A length that was believed before it was checked shows as an allocation beyond this. */
const MALLOC_LIMIT_MB = 64;
const LONGEST_INPUT = 64 << 10;

const native = 'src-main/machine/native';
const folder = path.join('build', 'fuzz');
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
const common = ['-std=c++20', '-O1', '-g1', '-fno-omit-frame-pointer', '-fno-exceptions', '-pthread', `-I${native}`];

export interface FuzzRun {
  readonly long: boolean;
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
}

/** Each target counts as one test. GODWIT_SEED repeats a run as far as threads allow. */
export async function runFuzzTargets(run: FuzzRun): Promise<Outcome> {
  const targets = globSync('tests/fuzz/*_fuzz.cc', { cwd: root }).sort();
  const seeds = path.join(root, folder, 'seeds');
  rmSync(seeds, { recursive: true, force: true });
  const { code, output } = await runCommand(process.execPath, ['tests/fuzz/seeds.ts', seeds], {
    signal: run.signal,
    capture: true,
  });
  if (code !== 0) {
    console.log(output);
    return failure('fuzz targets: their seeds cannot be made');
  }
  const seconds = Math.ceil(SECONDS[run.long ? 'long' : 'short'] / targets.length);
  const outcomes: Outcome[] = [];
  const built: { readonly name: string; readonly binary: string }[] = [];
  for (const target of targets) {
    const name = path.basename(target, '_fuzz.cc');
    const result = await buildTarget(name, target, run.signal);
    if ('complaints' in result) {
      console.log(result.complaints);
      outcomes.push(failure(`fuzz target ${name}: does not build`));
    } else {
      built.push({ name, binary: result.binary });
    }
  }
  const work = async (): Promise<void> => {
    for (let next = built.shift(); next !== undefined; next = built.shift()) {
      outcomes.push(await fuzz(next.name, next.binary, seconds, run));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return sum(outcomes);
}

async function buildTarget(name: string, target: string, signal: AbortSignal): ReturnType<typeof buildCxx> {
  const core = globSync(`${native}/core/{base,channels,memory,pages}/*.cc`, { cwd: root }).sort();
  return await buildCxx(
    {
      folder,
      name,
      compiler: 'clang++',
      sources: [...core, target],
      compileFlags: () => ['-fsanitize=fuzzer-no-link', ...sanitizers, ...common],
      linkFlags: ['-pthread', '-fsanitize=fuzzer', ...sanitizers],
    },
    signal,
  );
}

async function fuzz(name: string, binary: string, seconds: number, { signal, env }: FuzzRun): Promise<Outcome> {
  const corpus = path.join(root, folder, 'corpus', name);
  const found = `${path.join(root, folder, 'found', name)}-`;
  for (const needed of [corpus, path.dirname(found)]) mkdirSync(needed, { recursive: true });
  const seed = env['GODWIT_SEED'] ?? String(Date.now() % 1_000_000);
  const args = [
    `-max_total_time=${String(seconds)}`,
    `-seed=${seed}`,
    `-timeout=${String(INPUT_SECONDS)}`,
    `-rss_limit_mb=${String(RSS_LIMIT_MB)}`,
    `-malloc_limit_mb=${String(MALLOC_LIMIT_MB)}`,
    `-max_len=${String(LONGEST_INPUT)}`,
    `-artifact_prefix=${found}`,
    '-print_final_stats=1',
    corpus,
    path.join(root, folder, 'seeds', name),
  ];
  const { code, output, aborted } = await runCommand(binary, args, {
    signal,
    capture: true,
    // Freed memory that is held back counts against the limit.
    env: { ...env, ASAN_OPTIONS: 'quarantine_size_mb=16' },
  });
  const of = (pattern: RegExp): string => pattern.exec(output)?.[1] ?? '?';
  const runs = of(/stat::number_of_executed_units:\s*(\d+)/);
  const peak = of(/stat::peak_rss_mb:\s*(\d+)/);
  const coverage = [...output.matchAll(/ cov: (\d+)/g)].at(-1)?.[1] ?? '?';
  const title = `fuzz target ${name}`;
  if (aborted) return failure(`${title}: ended before it was done`);
  console.log(
    `${code === 0 ? '✓' : '✗'} ${title}: ${runs} runs in ${String(seconds)} s, coverage ${coverage}, peak ${peak} MiB, seed ${seed}`,
  );
  if (code === 0 && Number(runs) > 0) return { ...nothing, passed: 1 };
  console.log(output.split('\n').slice(-80).join('\n'));
  const input = /Test unit written to (\S+)/.exec(output)?.[1];
  if (input !== undefined) console.log(`again: ${path.relative(root, binary)} ${path.relative(root, input)}`);
  return failure(title);
}
