// SPDX-License-Identifier: Apache-2.0
import { parseMigrationUri } from '../../../src-shared/migration/address.ts';
import { quote } from '../../../src-shared/machine-settings.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import { formatBytes } from '../../../src-shared/sizes.ts';
import { UsageError } from '../../../src-shared/usage-error.ts';
import { drivePair } from '../../manager/pair/drive.ts';
import { PairError, type PairPlan, type PairResult } from '../../manager/pair/types.ts';
import { recordRun, type RunRecorder } from '../../manager/recording/recorder.ts';
import { openStore, type Store } from '../../manager/store/store.ts';
import { exitCodes, terminalStyle, type CliIo } from './io.ts';
import { migrateLines } from './migrate-progress.ts';
import { chooseSettings, type SettingTexts } from './migrate-settings.ts';
import type { AddCommand } from './program.ts';
import { ProgressDisplay } from './progress-display.ts';
import { formatDuration } from './style.ts';

/** Of each statement of the record; the migration itself waits for none of them but at its end. */
const BUSY_TIMEOUT_MS = 1000;

interface MigrateTexts extends SettingTexts {
  readonly from?: string;
  readonly to?: string;
  readonly uri: string;
  readonly postcopy?: boolean;
  readonly json?: boolean;
}

const collect = (value: string, earlier: readonly string[]): readonly string[] => [...earlier, value];

/** `godwit migrate`: drives two machines of either kind. */
export const addMigrateCommand: AddCommand = (program, io, done) => {
  program
    .command('migrate')
    .description('move a guest between two running machines, Godwit or QEMU, by their QMP sockets')
    .option('--from <QMP>', 'QMP socket of the machine that has the guest: unix:PATH')
    .option('--to <QMP>', 'QMP socket of the machine that waits for it (-incoming defer): unix:PATH')
    .requiredOption('--uri <URI>', 'where the stream goes: tcp:HOST:PORT, unix:PATH, file:PATH or exec:COMMAND')
    .option('--profile <NAME|FILE>', 'settings: gentle, balanced, must-finish, one that you saved, or a file')
    .option('--set <NAME=VALUE>', 'a migration parameter, by its name in QEMU; may be repeated', collect, [])
    .option('--cap <NAME>', 'a migration capability to switch on (NAME=off: off); may be repeated', collect, [])
    .option('--postcopy', 'switch to postcopy (not built yet)')
    .option('--json', 'print one JSON document and nothing else')
    .action(async (texts: MigrateTexts) => {
      await migrate(texts, io);
      done(exitCodes.done);
    });
};

async function migrate(texts: MigrateTexts, io: CliIo): Promise<void> {
  if (texts.postcopy === true) throw new UsageError('--postcopy is not built yet: leave it out for precopy');
  const ends = parseEnds(texts);
  const history = new History(io);
  try {
    const chosen = await chooseSettings(texts, async () => (await history.store()).listProfiles());
    await run({ ...ends, ...chosen, uri: texts.uri }, texts.json === true, history, io);
  } finally {
    await history.close();
  }
}

function parseEnds(texts: MigrateTexts): Pick<PairPlan, 'from' | 'to'> {
  const outcome = parseMigrationUri(texts.uri);
  if (!outcome.ok) throw new UsageError(`--uri ${quote(texts.uri)} cannot be used: ${outcome.sentence}`);
  const { transport } = outcome.address;
  const from = socketOf('--from', texts.from);
  const to = socketOf('--to', texts.to);
  if (from === undefined && to === undefined) throw new UsageError('--from and --to are missing: give the QMP sockets');
  if (from !== undefined && from === to) throw new UsageError('--from and --to are the same machine: give two');
  if (transport === 'socket' && (from === undefined || to === undefined)) {
    throw new UsageError(
      `--${from === undefined ? 'from' : 'to'} is missing: only with file: or exec: one end is enough`,
    );
  }
  if (transport === 'exec' && from !== undefined && to !== undefined) {
    throw new UsageError('--uri exec:… names the command of one end: save with --from first, then restore with --to');
  }
  return { from, to };
}

function socketOf(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const path = text.startsWith('unix:') ? text.slice('unix:'.length) : text.includes('/') ? text : '';
  if (path === '') throw new UsageError(`${option} ${quote(text)} is no QMP socket: write it as unix:PATH`);
  return path;
}

async function run(plan: PairPlan, json: boolean, history: History, io: CliIo): Promise<void> {
  const cancel = new AbortController();
  const forget = io.onInterrupt(() => cancel.abort());
  const style = terminalStyle(io);
  const display = json ? undefined : new ProgressDisplay(io.stdout, style, migrateLines);
  const print = (outcome: string, result: PairResult): void => {
    const runId = history.recordedId;
    const document = { outcome, ...result, ...(runId !== undefined && { runId }) };
    if (json)
      io.stdout.write(
        `${JSON.stringify(document, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))}\n`,
      );
  };
  try {
    const result = await drivePair(plan, {
      signal: cancel.signal,
      onProgress: (progress) => display?.show(progress),
      record: (recorded) => history.record(recorded),
    });
    display?.clear();
    if (json) print('completed', result);
    else io.stdout.write(summary(plan, result));
  } catch (error) {
    display?.clear();
    if (error instanceof PairError && error.result) print(error.code.toLowerCase(), error.result);
    throw error;
  } finally {
    forget();
    if (!json && history.recordedId !== undefined) {
      io.stdout.write(`Recorded: godwit history show ${history.recordedId.slice(0, 8)}\n`);
    }
  }
}

function summary(plan: PairPlan, { source, destination, uri }: PairResult): string {
  const total = numberOf(source?.['total-time']);
  const downtime = numberOf(source?.['downtime']);
  const ram = (source?.['ram'] ?? {}) as Readonly<Record<string, unknown>>;
  const sent = numberOf(ram['transferred']);
  const figures = [
    ...(total === undefined ? [] : [`in ${formatDuration(total)}`]),
    ...(downtime === undefined ? [] : [`stopped for ${formatDuration(downtime)}`]),
    ...(sent === undefined ? [] : [`${formatBytes(sent)} sent`]),
  ].join(', ');
  const runState = destination?.['runstate'];
  const state = typeof runState === 'string' ? plainText(runState, 40) : 'there';
  const what =
    plan.to === undefined
      ? `Saved: the guest is in ${plainText(uri)}`
      : plan.from === undefined
        ? `Restored: the guest is ${state}`
        : `Moved: the guest is ${state} at the destination`;
  return `${what}${figures === '' ? '' : `, ${figures}`}.\n`;
}

const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

/** The store, opened when something is asked of it. A problem of it is one line on stderr, and changes nothing. */
class History {
  readonly #io: CliIo;
  #store: Promise<Store> | undefined;
  #recorder: RunRecorder | undefined;
  #problem: string | undefined;

  constructor(io: CliIo) {
    this.#io = io;
  }

  /** The run's id, once all of it is in the file. */
  get recordedId(): string | undefined {
    return this.#recorder?.isWhole === true ? this.#recorder.runId : undefined;
  }

  store(): Promise<Store> {
    this.#store ??= openStore({ busyTimeoutMs: BUSY_TIMEOUT_MS });
    this.#store.catch(() => undefined); // whoever asks is told
    return this.#store;
  }

  record(run: Parameters<typeof recordRun>[0]): RunRecorder {
    this.#recorder = recordRun(run, {
      store: this.store(),
      onProblem: (sentence) => {
        this.#problem ??= sentence;
      },
    });
    return this.#recorder;
  }

  async close(): Promise<void> {
    const opened = await this.#store?.catch(() => undefined);
    for (const line of [...(opened?.notices ?? []), ...(this.#problem === undefined ? [] : [this.#problem])]) {
      this.#io.stderr.write(`godwit: ${plainText(line, 1000)}\n`);
    }
    await opened?.close();
  }
}
