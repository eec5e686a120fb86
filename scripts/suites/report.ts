// SPDX-License-Identifier: Apache-2.0
import type { Outcome, Skip } from './outcome.ts';
import { countLine } from './outcome.ts';

export interface SuiteReport {
  readonly name: string;
  readonly outcome: Outcome;
  readonly seconds: number;
  readonly budgetSeconds: number;
}

/** Prints a line for each suite, what was skipped and why, what failed, and as the last line the counts. */
export function printReport(reports: readonly SuiteReport[], total: Outcome, notes: readonly string[]): void {
  console.log(`\n${row(['suite', 'passed', 'failed', 'skipped', 'seconds', 'budget'])}`);
  for (const { name, outcome, seconds, budgetSeconds } of reports) {
    const { passed, failed, skipped } = outcome;
    const counts = [passed, failed.length, skipped.length].map(String);
    const late = seconds > budgetSeconds ? '  over its budget' : '';
    console.log(row([name, ...counts, seconds.toFixed(1), String(budgetSeconds)]) + late);
  }
  const seconds = reports.reduce((all, report) => all + report.seconds, 0);
  console.log(`in all ${(seconds / 60).toFixed(1)} minutes`);
  for (const note of notes) console.log(note);
  if (total.skipped.length > 0) {
    console.log('\nskipped:');
    for (const [reason, names] of byReason(total.skipped)) {
      console.log(`  ${names.length} because: ${reason}`);
      for (const name of names) console.log(`    - ${name}`);
    }
  }
  if (total.failed.length > 0) {
    console.log('\nfailed:');
    for (const name of total.failed) console.log(`  - ${name}`);
  }
  if (total.passed === 0 && total.failed.length === 0) console.log('\nno test was run');
  console.log(`\n${countLine(total)}`);
}

function row([name = '', ...columns]: readonly string[]): string {
  return name.padEnd(9) + columns.map((text) => text.padStart(9)).join('');
}

function byReason(skipped: readonly Skip[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { name, reason } of skipped) groups.set(reason, [...(groups.get(reason) ?? []), name]);
  return groups;
}
