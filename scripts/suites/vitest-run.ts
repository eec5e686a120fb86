// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root, runCommand } from './command.ts';
import type { Outcome } from './outcome.ts';
import { failure, nothing, sum } from './outcome.ts';

export interface VitestRun {
  readonly suite: string;
  readonly long: boolean;
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
  /** Why no virtual machine can run here: the tests of files that need one are counted and named as skipped. */
  readonly noKvm: string | null;
}

/** The line by which a test file says that it runs vCPUs. */
const NEEDS_KVM = /^\/\/ needs: kvm$/m;

/** Runs the tests/SUITE/*.test.ts, showing Vitest's own report. */
export async function runVitest(run: VitestRun): Promise<Outcome> {
  const files = testFiles(run);
  const cannot = files.filter(
    (file) => run.noKvm !== null && NEEDS_KVM.test(readFileSync(path.join(root, file), 'utf8')),
  );
  const outcomes: Outcome[] = [];
  const can = files.filter((file) => !cannot.includes(file));
  if (can.length > 0) outcomes.push(await runFiles(run, can));
  if (run.noKvm !== null && cannot.length > 0) outcomes.push(await listAsSkipped(run, cannot, run.noKvm));
  return sum(outcomes);
}

async function runFiles(run: VitestRun, files: readonly string[]): Promise<Outcome> {
  const folder = mkdtempSync(path.join(tmpdir(), 'godwit-tests-'));
  const file = path.join(folder, 'outcome.json');
  try {
    const reporters = ['--reporter=default', `--reporter=${path.join(import.meta.dirname, 'vitest-reporter.ts')}`];
    const env = { ...environment(run), GODWIT_OUTCOME_FILE: file };
    const { code, aborted } = await runCommand('vitest', ['run', '--project', run.suite, ...reporters, ...files], {
      signal: run.signal,
      env,
    });
    if (aborted || !existsSync(file)) return failure(`tests/${run.suite}: ${aborted ? 'ended' : 'Vitest ended early'}`);
    const outcome = JSON.parse(readFileSync(file, 'utf8')) as Outcome;
    // Vitest knows reasons to fail that are no test's (a hook of its own, a worker that died): they count as well.
    return code === 0 || outcome.failed.length > 0
      ? outcome
      : { ...outcome, failed: [`tests/${run.suite}: Vitest's exit code is ${String(code)}`] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Paths from the root. */
function testFiles({ suite, long }: VitestRun): string[] {
  const folder = path.join('tests', suite);
  if (!existsSync(path.join(root, folder))) return [];
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && name.endsWith('.long.test.ts') === long)
    .map((name) => path.join(folder, name));
}

async function listAsSkipped(run: VitestRun, files: readonly string[], reason: string): Promise<Outcome> {
  const { code, output } = await runCommand('vitest', ['list', '--json', '--project', run.suite, ...files], {
    signal: run.signal,
    capture: true,
    env: environment(run),
  });
  if (code !== 0) {
    console.log(output);
    return failure(`tests/${run.suite}: the tests cannot be listed`);
  }
  const tests = JSON.parse(output.slice(output.indexOf('['))) as { name: string; file: string }[];
  const skipped = tests.map(({ name, file }) => ({ name: `${path.relative(root, file)} > ${name}`, reason }));
  return { ...nothing, skipped };
}

function environment({ long, env }: VitestRun): NodeJS.ProcessEnv {
  return { ...env, GODWIT_LONG_TESTS: long ? '1' : '' };
}
