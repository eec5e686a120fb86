// SPDX-License-Identifier: Apache-2.0
// npm test: provides what the tests need, runs the suites in order, and says what was passed, failed and skipped.
import { randomUUID } from 'node:crypto';
import { constants } from 'node:os';
import { parseArgs } from 'node:util';
import { watchParent } from '../setup/watch-parent.mjs';
import { runChecks } from './checks.ts';
import { runCoreTests } from './core-tests.ts';
import { provideDebianPackages } from './debian-packages.ts';
import { runFuzzTargets } from './fuzz-targets.ts';
import { whyNoKvm } from './kvm.ts';
import { MARK, endLeftovers } from './leftovers.ts';
import type { Outcome } from './outcome.ts';
import { countLine, failure, nothing, sum } from './outcome.ts';
import type { SuiteReport } from './report.ts';
import { printReport } from './report.ts';
import type { Suite } from './table.ts';
import { LIMIT_FACTOR, LONG_FACTOR, suites } from './table.ts';
import { vehiclesLine, withRealElectron } from './vehicles.ts';
import { runVitest } from './vitest-run.ts';

const usage = `usage: npm test -- [--suite ${suites.map(({ name }) => name).join('|')}]… [--long] [--electron]`;

/** Runs the tests. Answers the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const choice = chosen(args);
  if (choice === null) {
    console.error(usage);
    return 2;
  }
  const missing = provideDebianPackages(choice.suites.map(({ name }) => name));
  if (missing !== null) {
    console.error(`godwit: ${missing}`);
    return 1;
  }
  const env = choice.electron ? withRealElectron(process.env) : process.env;
  if (typeof env === 'string') {
    console.error(`godwit: ${env}`);
    return 1;
  }
  const interrupt = interruption();
  const noKvm = whyNoKvm();
  const reports: SuiteReport[] = [];
  for (const suite of choice.suites) {
    if (interrupt.signal.aborted) break;
    reports.push(await runSuite(suite, { long: choice.long, noKvm, env, interrupt: interrupt.signal }));
  }
  const total = sum(reports.map(({ outcome }) => outcome));
  const notes = choice.suites.some(({ name }) => name === 'e2e') ? [vehiclesLine(env)] : [];
  printReport(reports, total, notes);
  if (interrupt.signal.aborted) return interrupt.exitCode();
  return total.failed.length > 0 || total.passed === 0 ? 1 : 0;
}

interface Choice {
  readonly suites: readonly Suite[];
  readonly long: boolean;
  /** The desktop app in a real Electron. */
  readonly electron: boolean;
}

function chosen(args: readonly string[]): Choice | null {
  try {
    const options = {
      suite: { type: 'string', multiple: true },
      long: { type: 'boolean' },
      electron: { type: 'boolean' },
    } as const;
    const { values } = parseArgs({ args: [...args], options });
    const names = values.suite ?? suites.map(({ name }) => name);
    const known = suites.filter(({ name }) => names.includes(name));
    if (names.some((name) => !known.some((suite) => suite.name === name))) return null;
    return { suites: known, long: values.long ?? false, electron: values.electron ?? false };
  } catch {
    return null; // parseArgs refuses what is not an option of ours
  }
}

interface SuiteRun {
  readonly long: boolean;
  readonly noKvm: string | null;
  readonly env: NodeJS.ProcessEnv;
  readonly interrupt: AbortSignal;
}

async function runSuite({ name, budgetMinutes }: Suite, run: SuiteRun): Promise<SuiteReport> {
  const { long, noKvm, interrupt } = run;
  const budgetSeconds = budgetMinutes * 60 * (long ? LONG_FACTOR : 1);
  console.log(`\n━━ ${name} (budget ${budgetSeconds} s)`);
  const limit = AbortSignal.timeout(budgetSeconds * LIMIT_FACTOR * 1000);
  const signal = AbortSignal.any([interrupt, limit]);
  const mark = randomUUID();
  const env = { ...run.env, [MARK]: mark };
  const started = performance.now();

  const parts: Outcome[] = [];
  if (name === 'unit' && !long) parts.push(await runChecks(signal));
  if (name === 'native' && !long) parts.push(await runCoreTests({ signal, env, noKvm }));
  if (name === 'faults') parts.push(await runFuzzTargets({ long, signal, env }));
  parts.push(await runVitest({ suite: name, long, signal, env, noKvm }));
  parts.push(...(await endLeftovers(mark)).map((process) => failure(`${name}: left a process behind: ${process}`)));
  if (limit.aborted) parts.push(failure(`${name}: took more than ${LIMIT_FACTOR} times its budget and was ended`));

  const outcome = parts.reduce((all, part) => sum([all, part]), nothing);
  const seconds = (performance.now() - started) / 1000;
  console.log(`${name}: ${countLine(outcome)} in ${seconds.toFixed(1)} s (budget ${budgetSeconds} s)`);
  return { name, outcome, seconds, budgetSeconds };
}

/** Aborts on a signal and when the process that started us is gone. */
function interruption(): { readonly signal: AbortSignal; exitCode: () => number } {
  const controller = new AbortController();
  let code = 1;
  const interrupt = (name: 'SIGINT' | 'SIGTERM' | 'SIGHUP'): void => {
    code = 128 + constants.signals[name];
    controller.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, interrupt);
  watchParent(() => {
    interrupt('SIGHUP');
  });
  return { signal: controller.signal, exitCode: () => code };
}
