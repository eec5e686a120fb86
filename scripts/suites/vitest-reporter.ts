// SPDX-License-Identifier: Apache-2.0
// A Vitest reporter that leaves the counts of a run, as an Outcome, in the file named by GODWIT_OUTCOME_FILE.
import { writeFileSync } from 'node:fs';
import type { SerializedError } from 'vitest';
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import type { Skip } from './outcome.ts';

export default class OutcomeReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    let passed = 0;
    const skipped: Skip[] = [];
    const failed = unhandledErrors.map((error) => `unhandled error: ${error.message}`);
    for (const module of modules) {
      const file = module.relativeModuleId;
      failed.push(...failedOutsideTests(module));
      for (const test of module.children.allTests()) {
        const name = `${file} > ${test.fullName}`;
        const { state } = test.result();
        if (state === 'passed') passed += 1;
        else if (state === 'skipped') skipped.push({ name, reason: skipReason(test) });
        else failed.push(state === 'pending' ? `${name} (did not finish)` : name);
      }
    }
    const file = process.env['GODWIT_OUTCOME_FILE'];
    if (file !== undefined) writeFileSync(file, JSON.stringify({ passed, failed, skipped }));
  }
}

/** Errors of a file that belong to no test: it cannot be loaded, or a hook around its tests failed. */
function failedOutsideTests(module: TestModule): string[] {
  const suites = [...module.children.allSuites()];
  return [...module.errors(), ...suites.flatMap((suite) => suite.errors())].map(
    (error) => `${module.relativeModuleId}: ${error.message.split('\n', 1).join('')}`,
  );
}

function skipReason(test: TestCase): string {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  return note ?? (test.options.mode === 'todo' ? 'not written yet' : 'marked to be skipped');
}
