// SPDX-License-Identifier: Apache-2.0
// The tests of the C++ core (doctest), under each sanitizer.
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root, runCommand } from './command.ts';
import type { CommandResult } from './command.ts';
import { buildCxx } from './cxx-build.ts';
import type { Outcome } from './outcome.ts';
import { failure, nothing, sum } from './outcome.ts';

interface Variant {
  readonly name: string;
  readonly flags: readonly string[];
}

const variants: readonly Variant[] = [
  { name: 'ASan+UBSan', flags: ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'] },
  { name: 'TSan', flags: ['-fsanitize=thread'] },
];

const native = 'src-main/machine/native';
const isTest = (source: string): boolean => source.startsWith('tests/');

function compileFlags(source: string): string[] {
  // doctest's REQUIRE leaves a test case by an exception; the core itself is built without, as in the addon. A test's
  // own code need not be fast: not optimizing it halves the time that the compiler takes. -g1 has what a trace needs.
  const kind = isTest(source) ? ['-fexceptions', '-O0'] : ['-fno-exceptions', '-O1'];
  const language = ['-std=c++20', ...kind, '-g1', '-fno-omit-frame-pointer', '-pthread'];
  return [...language, '-Wall', '-Wextra', '-Werror', `-I${native}`];
}

export interface CoreTestsRun {
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
  /** Why no virtual machine can run here. */
  readonly noKvm: string | null;
}

export async function runCoreTests(run: CoreTestsRun): Promise<Outcome> {
  const tests = globSync('tests/native/*.cc', { cwd: root }).sort();
  const core = globSync(`${native}/core/**/*.cc`, { cwd: root }).sort();
  if (tests.length === 0) return nothing;
  const outcomes: Outcome[] = [];
  for (const variant of variants) outcomes.push(await runVariant(variant, [...core, ...tests], run));
  return sum(outcomes);
}

async function runVariant({ name, flags }: Variant, sources: readonly string[], run: CoreTestsRun): Promise<Outcome> {
  const title = `C++ core under ${name}`;
  const started = performance.now();
  const built = await buildCxx(
    {
      folder: path.join('build', 'native-tests', name),
      name: 'tests',
      compiler: 'g++',
      sources,
      compileFlags: (source) => [...compileFlags(source), ...flags],
      linkFlags: ['-pthread', ...flags],
    },
    run.signal,
  );
  if ('complaints' in built) {
    console.log(`✗ ${title} does not build\n${built.complaints}`);
    return failure(`${title}: does not build`);
  }
  const buildSeconds = (performance.now() - started) / 1000;
  const skippedFiles = run.noKvm === null ? [] : sources.filter(needsKvm);
  const result = await runProgram(built.binary, skippedFiles.map(fileFilter), run);
  const totalSeconds = (performance.now() - started) / 1000;
  const outcome = outcomeOf(title, result);
  if (outcome.failed.length > 0) console.log(result.output);
  const times = `built in ${buildSeconds.toFixed(1)} s, ran ${(totalSeconds - buildSeconds).toFixed(1)} s`;
  console.log(`${outcome.failed.length > 0 ? '✗' : '✓'} ${title}: ${outcome.passed} test cases (${times})`);
  const skipped = run.noKvm === null ? [] : await listAsSkipped(title, built.binary, skippedFiles, run.noKvm, run);
  return sum([outcome, { ...nothing, skipped }]);
}

async function runProgram(binary: string, filters: readonly string[], run: CoreTestsRun): Promise<CommandResult> {
  // One list: of an option that is repeated, doctest takes one.
  const excluded = filters.length === 0 ? [] : [`--source-file-exclude=${filters.join(',')}`];
  const args = ['--no-colors', '--no-path-filenames', ...excluded];
  const options = { signal: run.signal, env: run.env, capture: true };
  const result = await runCommand(binary, args, options);
  // TSan's shadow memory does not fit around every layout that the kernel may choose at random.
  if (!result.output.includes('ThreadSanitizer: unexpected memory mapping')) return result;
  return await runCommand('setarch', ['--addr-no-randomize', binary, ...args], options);
}

/** doctest's last lines hold `[doctest] test cases:  3 |  2 passed | 1 failed | 0 skipped`. */
function outcomeOf(title: string, { code, output, aborted }: CommandResult): Outcome {
  const counts = /^\[doctest\] test cases:\s*\d+ \|\s*(\d+) passed \|\s*(\d+) failed \|\s*(\d+) skipped/m.exec(output);
  if (aborted) return failure(`${title}: ended before it was done`);
  if (counts === null) return failure(`${title}: no summary, exit code ${String(code)}`);
  const passed = Number(counts[1]);
  const failed = failedCases(output).map((name) => `${title}: ${name}`);
  while (failed.length < Number(counts[2])) failed.push(`${title}: a test case`);
  if (output.includes('test case CRASHED'))
    failed.push(`${title}: what came after the crash (${counts[3]} test cases)`);
  // A sanitizer that finds something at exit (a leak, a race) shows in the exit code only.
  if (code !== 0 && failed.length === 0) failed.push(`${title}: exit code ${String(code)} after all test cases passed`);
  return { passed, failed, skipped: [] };
}

function failedCases(output: string): string[] {
  const blocks = output.split(/^={20,}$/m).filter((block) => /^.*: (FATAL )?ERROR:/m.test(block));
  const names = blocks.map((block) => /^TEST CASE:\s+(.*)$/m.exec(block)?.[1]);
  return [...new Set(names.filter((name) => name !== undefined))];
}

function needsKvm(source: string): boolean {
  return isTest(source) && includesTestMachine(path.join(root, source));
}

/** By itself, or by a header beside it. */
function includesTestMachine(file: string): boolean {
  const headers = [...readFileSync(file, 'utf8').matchAll(/^#include "([^"/]+)"$/gm)].map((match) => match[1] ?? '');
  return headers.some((name) => name === 'test_machine.h' || includesTestMachine(path.join(path.dirname(file), name)));
}

function fileFilter(source: string): string {
  return `*${path.basename(source)}`;
}

async function listAsSkipped(
  title: string,
  binary: string,
  files: readonly string[],
  reason: string,
  { signal, env }: CoreTestsRun,
): Promise<Outcome['skipped']> {
  if (files.length === 0) return [];
  const args = ['--list-test-cases', '--no-colors', `--source-file=${files.map(fileFilter).join(',')}`];
  const { output } = await runCommand(binary, args, { signal, env, capture: true });
  const names = output.split('\n').filter((line) => line !== '' && !/^(\[doctest\]|=)/.test(line));
  return names.map((name) => ({ name: `${title}: ${name}`, reason }));
}
