// SPDX-License-Identifier: Apache-2.0
import { plainText } from '../../../src-shared/plain-text.ts';
import { systemChecks } from '../../manager/system/checks.ts';
import type { SystemCheck } from '../../manager/system/checks.ts';
import { gatherSystemFacts } from '../../manager/system/facts.ts';
import { exitCodes, terminalStyle } from './io.ts';
import type { AddCommand } from './program.ts';
import { paint } from './style.ts';

/** `godwit doctor`: can this box do it, and what would help. */
export const addDoctorCommand: AddCommand = (program, io, done) => {
  program
    .command('doctor')
    .description('check KVM, userfaultfd, huge pages, memory, QEMU and permissions, each with the remedy')
    .option('--json', 'print one JSON document and nothing else')
    .action(async (options: { readonly json?: boolean }) => {
      const checks = systemChecks(await gatherSystemFacts());
      const ok = checks.every((check) => check.status !== 'fail');
      if (options.json === true) io.stdout.write(`${JSON.stringify({ ok, checks })}\n`);
      else io.stdout.write(doctorText(checks, terminalStyle(io).color));
      done(ok ? exitCodes.done : exitCodes.error);
    });
};

/** The checks as text, one line each, and the remedy below. */
export function doctorText(checks: readonly SystemCheck[], color: boolean): string {
  const style = { ok: 'green', warn: 'yellow', fail: 'red' } as const;
  const lines = checks.flatMap((check) => {
    const word = paint(check.status.padEnd(4), style[check.status], color);
    const line = `${word}  ${check.title}: ${plainText(check.summary)}`;
    return check.remedy === undefined ? [line] : [line, `      remedy: ${check.remedy}`];
  });
  const failed = checks.filter((check) => check.status === 'fail').length;
  const verdict =
    failed === 0
      ? 'This box can run godwit demo.'
      : `This box cannot run godwit demo yet: ${String(failed)} to repair.`;
  return `${[...lines, '', verdict].join('\n')}\n`;
}
