// SPDX-License-Identifier: Apache-2.0
// What is checked without running the product: types, lint, format. Each counts as one test.
import { runCommand } from './command.ts';
import type { Outcome } from './outcome.ts';
import { failure, nothing, sum } from './outcome.ts';

const checks = [
  { name: 'types', command: 'tsc', args: ['--project', 'tsconfig.json', '--pretty'] },
  { name: 'types of the screens', command: 'vue-tsc', args: ['--project', 'src-renderer/tsconfig.json', '--pretty'] },
  { name: 'lint', command: 'eslint', args: ['.'] },
  { name: 'format', command: 'prettier', args: ['--check', '--log-level', 'warn', '.'] },
];

export async function runChecks(signal: AbortSignal): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  for (const { name, command, args } of checks) {
    const started = performance.now();
    const { code, output } = await runCommand(command, args, { signal, capture: true });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${code === 0 ? '✓' : '✗'} ${name} (${seconds} s)`);
    if (output.trim() !== '') console.log(output.trimEnd());
    outcomes.push(code === 0 ? { ...nothing, passed: 1 } : failure(`${name}: ${command} ${args.join(' ')}`));
  }
  return sum(outcomes);
}
