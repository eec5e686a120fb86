// SPDX-License-Identifier: Apache-2.0
import { writeJson } from '../../control/json.ts';
import { InspectError } from '../../machine/inspect/inspect-error.ts';
import type { InspectReport } from '../../machine/inspect/report.ts';
import { inspectDocument } from './inspect-document.ts';
import { inspectText } from './inspect-text.ts';
import { exitCodes, terminalStyle } from './io.ts';
import type { AddCommand } from './program.ts';

interface InspectTexts {
  readonly channel: readonly string[];
  readonly ram?: string;
  readonly json?: boolean;
}

/** `godwit inspect`: what is in a saved migration stream. */
export const addInspectCommand: AddCommand = (program, io, done) => {
  program
    .command('inspect')
    .description('show what is in a saved migration stream')
    .argument('<file>', 'main channel of a migration, as it is or gzip-compressed')
    .option('--channel <file>', 'a further channel of the same migration; may be given again', collect, [])
    .option('--ram <file>', 'write the contents of the largest RAM block to a file')
    .option('--json', 'print one JSON document and nothing else')
    .action(async (file: string, texts: InspectTexts) => {
      // The native addon reads RAM; the other commands do without it.
      const { inspectStream } = await import('../../machine/inspect/inspect.ts');
      const report = await inspectStream({
        file,
        channels: texts.channel,
        ...(texts.ram !== undefined && { image: texts.ram }),
      });
      const text =
        texts.json === true ? writeJson(inspectDocument(report)) : inspectText(report, terminalStyle(io).color);
      io.stdout.write(`${text}\n`);
      if (report.error !== undefined) throw malformed(report, report.error);
      done(exitCodes.done);
    });
};

const collect = (file: string, before: readonly string[]): readonly string[] => [...before, file];

function malformed(report: InspectReport, error: NonNullable<InspectReport['error']>): InspectError {
  return new InspectError('STREAM', `${error.file ?? report.file}: byte ${String(error.offset)}: ${error.reason}`);
}
