// SPDX-License-Identifier: Apache-2.0
import type { Command } from 'commander';
import {
  DEFAULT_DIRTY_RATE,
  DEFAULT_MEMORY,
  MAX_CPUS,
  PAGE_BYTES,
  defaultWorkingSet,
  parseCount,
  parseDirtyRate,
  parseMemory,
  parseWorkingSet,
  quote,
} from '../../../src-shared/machine-settings.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import { UsageError } from '../../../src-shared/usage-error.ts';
import { DemoError, runDemo } from '../../manager/demo.ts';
import type { DemoOptions, DemoResult } from '../../manager/demo.ts';
import { DemoRecording } from '../../manager/demo/recording.ts';
import { openStore } from '../../manager/store/store.ts';
import { introduction, summary } from './demo-summary.ts';
import { exitCodes, terminalStyle } from './io.ts';
import type { CliIo } from './io.ts';
import { progressLines } from './demo-progress.ts';
import { ProgressDisplay } from './progress-display.ts';
import type { AddCommand } from './program.ts';

/** Of each statement of the record; the demo itself waits for none of them but at its end. */
const BUSY_TIMEOUT_MS = 1000;

interface DemoTexts {
  readonly mode: string;
  readonly memory: string;
  readonly cpus: string;
  readonly dirtyRate: string;
  readonly workingSet?: string;
  readonly uri?: string;
  readonly cut?: string;
  readonly json?: boolean;
}

/** `godwit demo`: the main job, end to end. */
export const addDemoCommand: AddCommand = (program, io, done) => {
  defineDemoOptions(program.command('demo')).action(async (texts: DemoTexts) => {
    await demo(parseDemoOptions(texts), texts.json === true, io);
    done(exitCodes.done);
  });
};

function defineDemoOptions(command: Command): Command {
  return command
    .description('move a live guest from one machine process to another and let it check itself')
    .option('--mode <mode>', 'how it moves; precopy is built so far', 'precopy')
    .option('--memory <size>', 'RAM of the guest', DEFAULT_MEMORY)
    .option('--cpus <n>', 'virtual CPUs, 1 to 16', '2')
    .option('--dirty-rate <pages/s>', 'pages that the guest rewrites a second', DEFAULT_DIRTY_RATE)
    .option('--working-set <size>', 'memory that the guest rewrites (default: half of memory)')
    .option('--uri <uri>', 'tcp:HOST:PORT (port 0: any) or unix:PATH (default: a private unix socket)')
    .option('--cut <n>', 'cut the link during postcopy (not built yet)')
    .option('--json', 'print one JSON document and nothing else');
}

/** Checks the texts; every problem is a UsageError. */
export function parseDemoOptions(texts: DemoTexts): DemoOptions {
  if (texts.mode !== 'precopy') {
    throw new UsageError(`--mode ${quote(texts.mode)} is not built yet: use --mode precopy`);
  }
  if (texts.cut !== undefined) {
    throw new UsageError('--cut needs postcopy, which is not built yet: a precopy whose link is cut just fails');
  }
  if (texts.uri !== undefined && !/^(tcp|unix):./.test(texts.uri)) {
    throw new UsageError(`--uri ${quote(texts.uri)} is not understood: write it as tcp:HOST:PORT or unix:PATH`);
  }
  const memoryBytes = parseMemory('--memory', texts.memory);
  const cpus = parseCount('--cpus', texts.cpus, 1, MAX_CPUS);
  const workingSetBytes =
    texts.workingSet === undefined
      ? defaultWorkingSet(memoryBytes)
      : parseWorkingSet('--working-set', texts.workingSet, memoryBytes);
  if (workingSetBytes < cpus * PAGE_BYTES) {
    throw new UsageError(`--working-set gives ${String(cpus)} vCPUs less than a page each: make it larger`);
  }
  return {
    mode: texts.mode,
    memoryBytes,
    cpus,
    dirtyRate: parseDirtyRate('--dirty-rate', texts.dirtyRate, 1),
    workingSetBytes,
    ...(texts.uri !== undefined && { uri: texts.uri }),
  };
}

async function demo(options: DemoOptions, json: boolean, io: CliIo): Promise<void> {
  const cancel = new AbortController();
  const forget = io.onInterrupt(() => {
    cancel.abort();
  });
  const history = openHistory(options, io);
  const style = terminalStyle(io);
  const display = json ? undefined : new ProgressDisplay(io.stdout, style, progressLines);
  if (!json) io.stdout.write(introduction(options, style.color));
  try {
    const result = await runDemo(options, {
      signal: cancel.signal,
      onProgress: (progress) => display?.show(progress),
      recording: history.recording,
    });
    display?.clear();
    print(result, options, json, io);
  } catch (error) {
    display?.clear();
    if (error instanceof DemoError && error.result) print(error.result, options, json, io);
    throw error;
  } finally {
    forget();
    await history.close();
    const { recordedId } = history.recording;
    if (!json && recordedId !== undefined) io.stdout.write(`Recorded: godwit history show ${recordedId.slice(0, 8)}\n`);
  }
}

/** The record of the run. A problem of it is one line on stderr, when all else is said, and changes nothing. */
function openHistory(
  options: DemoOptions,
  io: CliIo,
): { readonly recording: DemoRecording; readonly close: () => Promise<void> } {
  let problem: string | undefined;
  const store = openStore({ busyTimeoutMs: BUSY_TIMEOUT_MS });
  store.catch(() => undefined); // the recording tells it
  const recording = new DemoRecording(options, {
    store,
    onProblem: (sentence) => {
      problem ??= sentence;
    },
  });
  const close = async (): Promise<void> => {
    await recording.written();
    const opened = await store.catch(() => undefined);
    for (const line of [...(opened?.notices ?? []), ...(problem === undefined ? [] : [problem])]) {
      io.stderr.write(`godwit: ${plainText(line, 1000)}\n`);
    }
    await opened?.close();
  };
  return { recording, close };
}

function print(result: DemoResult, options: DemoOptions, json: boolean, io: CliIo): void {
  if (json) io.stdout.write(`${JSON.stringify(result)}\n`);
  else if (result.verified) io.stdout.write(summary(result, options, terminalStyle(io).color));
}
