// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Command } from 'commander';
import { parseCount, quote } from '../../../src-shared/machine-settings.ts';
import { UsageError } from '../../../src-shared/usage-error.ts';
import type { Contestant } from '../../manager/bench/contestant.ts';
import { godwitContestant } from '../../manager/bench/godwit-contestant.ts';
import { qemuContestant } from '../../manager/bench/qemu-contestant.ts';
import type { QemuMemory } from '../../manager/bench/qemu-contestant.ts';
import { benchRows } from '../../manager/bench/rows.ts';
import { runBench } from '../../manager/bench/runner.ts';
import { BenchError } from '../../manager/bench/types.ts';
import { benchText, progressLine } from './bench-text.ts';
import { exitCodes, terminalStyle } from './io.ts';
import type { CliIo } from './io.ts';
import { packageVersion } from './package-version.ts';
import type { AddCommand } from './program.ts';

const QEMU = 'qemu-system-x86_64';
const MAX_PAIRS = 99;

interface BenchTexts {
  readonly peer?: readonly string[];
  readonly row?: readonly string[];
  readonly pairs?: string;
  readonly qemuMemory: string;
  readonly quick?: boolean;
  readonly json?: boolean;
}

/** `godwit bench`: Godwit and QEMU side by side in one run. */
export const addBenchCommand: AddCommand = (program, io, done) => {
  defineBenchOptions(program.command('bench')).action(async (texts: BenchTexts) => {
    await bench(texts, io);
    done(exitCodes.done);
  });
};

const collect = (value: string, earlier: readonly string[] | undefined): readonly string[] => [
  ...(earlier ?? []),
  value,
];

function defineBenchOptions(command: Command): Command {
  return command
    .description('measure Godwit and QEMU side by side: RAM moved between two processes, and the limits of the box')
    .option('--peer <qemu>', `a QEMU to compare with; may be repeated (default: ${QEMU}, where installed)`, collect)
    .option('--row <id>', 'only this row; may be repeated (default: all)', collect)
    .option('--pairs <n>', 'measured rounds of every row (default: 9, 5 or 3)')
    .option('--qemu-memory <kind>', 'what backs the RAM of QEMU: anonymous or memfd', 'anonymous')
    .option('--quick', 'a quarter of the memory and 3 rounds: for a look, not for a figure to quote')
    .option('--json', 'print one JSON document and nothing else');
}

async function bench(texts: BenchTexts, io: CliIo): Promise<void> {
  const quick = texts.quick === true;
  const rows = selectRows(texts, quick);
  const memory = parseQemuMemory(texts.qemuMemory);
  const programs = texts.peer ?? installedQemu(io.env['PATH'] ?? '');
  const peers: Contestant[] = [];
  for (const program of programs) peers.push(await qemuContestant(program, memory));
  if (peers.length === 0)
    io.stderr.write(`no ${QEMU} is installed: Godwit is measured against the box's limits alone\n`);

  const cancel = new AbortController();
  const forget = io.onInterrupt(() => {
    cancel.abort(new BenchError('CANCELLED', 'the benchmark was cancelled'));
  });
  try {
    const result = await runBench({
      quick,
      rows,
      godwit: godwitContestant(packageVersion()),
      peers,
      signal: cancel.signal,
      onProgress: (progress) => void io.stderr.write(`${progressLine(progress)}\n`),
    });
    if (texts.json === true) io.stdout.write(`${JSON.stringify(result)}\n`);
    else io.stdout.write(benchText(result, terminalStyle(io).color));
  } finally {
    forget();
  }
}

function selectRows(texts: BenchTexts, quick: boolean) {
  const pairs = texts.pairs === undefined ? undefined : parseCount('--pairs', texts.pairs, 1, MAX_PAIRS);
  const rows = benchRows({ quick, ...(pairs !== undefined && { pairs }) });
  const wanted = texts.row;
  if (wanted === undefined) return rows;
  for (const id of wanted) {
    if (!rows.some((row) => row.id === id)) {
      throw new UsageError(`--row ${quote(id)} is not known: use ${rows.map((row) => row.id).join(', ')}`);
    }
  }
  return rows.filter((row) => wanted.includes(row.id));
}

function parseQemuMemory(text: string): QemuMemory {
  if (text === 'anonymous' || text === 'memfd') return text;
  throw new UsageError(`--qemu-memory ${quote(text)} is not known: use anonymous or memfd`);
}

/** The QEMU that the shell would find, if there is one. */
function installedQemu(path: string): readonly string[] {
  const program = path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, QEMU))
    .find((candidate) => existsSync(candidate));
  return program === undefined ? [] : [program];
}
