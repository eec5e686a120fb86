// SPDX-License-Identifier: Apache-2.0
import { compareRuns } from '../../../src-shared/run-comparison.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import { parseCount, quote } from '../../../src-shared/machine-settings.ts';
import type { RecordedRun, RunEvent, RunOutcome } from '../../../src-shared/run.ts';
import { UsageError } from '../../../src-shared/usage-error.ts';
import { openStore } from '../../manager/store/store.ts';
import type { Store } from '../../manager/store/store.ts';
import { comparisonText, listText, runText } from './history-text.ts';
import { exitCodes, terminalStyle } from './io.ts';
import type { CliIo } from './io.ts';
import type { AddCommand } from './program.ts';

/** Runs that one `list` shows at most. */
const MAX_LISTED = 500;
/** Rows that are read at a time. */
const EVENTS_PER_READ = 10_000;

interface ListTexts {
  readonly limit: string;
  readonly search?: string;
  readonly outcome?: string;
  readonly json?: boolean;
}

/** `godwit history`: the recorded runs. */
export const addHistoryCommand: AddCommand = (program, io, done) => {
  const history = program.command('history').description('list, show and compare the recorded migrations');
  history
    .command('list', { isDefault: true })
    .description('the runs, newest first')
    .option('--limit <n>', `how many at most, 1 to ${String(MAX_LISTED)}`, '50')
    .option('--search <text>', 'only runs with this text in a name, an error, or at the beginning of their id')
    .option('--outcome <word>', 'only runs that ended so: completed, failed, cancelled, interrupted, …')
    .option('--json', 'print one JSON document and nothing else')
    .action(async (texts: ListTexts) => {
      const query = {
        limit: parseCount('--limit', texts.limit, 1, MAX_LISTED),
        ...(texts.search !== undefined && { search: texts.search }),
        ...(texts.outcome !== undefined && { outcome: await parseOutcome(texts.outcome) }),
      };
      const { runs, total } = await withStore(io, (store) => store.listRuns(query));
      if (texts.json === true) printJson(io, { runs, total });
      else io.stdout.write(listText(runs, total, Object.keys(query).length > 1));
      done(exitCodes.done);
    });
  history
    .command('show <run>')
    .description('all of one run; RUN is its id or the beginning of it')
    .option('--json', 'print one JSON document and nothing else')
    .action(async (id: string, texts: { readonly json?: boolean }) => {
      const { run, samples, events } = await withStore(io, async (store) => {
        const found = await findRun(store, id);
        return { run: found, samples: await store.countSamples(found.id), events: await allEvents(store, found.id) };
      });
      if (texts.json === true) printJson(io, { run, samples, events });
      else io.stdout.write(runText(run, samples, events, terminalStyle(io).color));
      done(exitCodes.done);
    });
  history
    .command('compare <a> <b>')
    .description('two runs side by side: settings that differ, then figures')
    .option('--json', 'print one JSON document and nothing else')
    .action(async (idA: string, idB: string, texts: { readonly json?: boolean }) => {
      const [a, b] = await withStore(
        io,
        async (store) => [await findRun(store, idA), await findRun(store, idB)] as const,
      );
      const comparison = compareRuns(a, b);
      if (texts.json === true) printJson(io, { a, b, ...comparison });
      else io.stdout.write(comparisonText(a, b, comparison, terminalStyle(io).color));
      done(exitCodes.done);
    });
};

/** Opens the store to read it; what was found at opening is told on stderr. */
async function withStore<T>(io: CliIo, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore({ whenUnusable: 'throw' });
  try {
    for (const notice of [...store.notices, store.problem]) {
      if (notice !== null) io.stderr.write(`godwit: ${plainText(notice, 1000)}\n`);
    }
    return await work(store);
  } finally {
    await store.close();
  }
}

/** The run of this id, or the only one whose id begins so. */
async function findRun(store: Store, text: string): Promise<RecordedRun> {
  if (!/^[0-9a-f-]{4,36}$/i.test(text)) {
    throw new UsageError(
      `${quote(text)} is no run: give the id of one, or at least 4 characters of it (godwit history)`,
    );
  }
  const wanted = text.toLowerCase();
  const { runs } = await store.listRuns({ limit: MAX_LISTED, search: wanted });
  const found = runs.filter(({ id }) => id.startsWith(wanted));
  const [run, another] = found;
  if (another !== undefined) {
    throw new UsageError(`${String(found.length)} runs begin with ${quote(text)}: give more of the id`);
  }
  // The id as it was asked for: the store says that it is not there.
  return store.getRun(run?.id ?? text);
}

async function allEvents(store: Store, id: string): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for (;;) {
    const more = await store.readEvents(id, { from: events.length, limit: EVENTS_PER_READ });
    events.push(...more);
    if (more.length < EVENTS_PER_READ) return events;
  }
}

async function parseOutcome(text: string): Promise<RunOutcome> {
  // The schemas of runs take a while to load, and no other command needs them.
  const { RUN_OUTCOMES } = await import('../../../src-shared/run.ts');
  const outcome = RUN_OUTCOMES.find((word) => word === text);
  if (outcome === undefined) throw new UsageError(`--outcome ${quote(text)} is none of ${RUN_OUTCOMES.join(', ')}`);
  return outcome;
}

function printJson(io: CliIo, document: unknown): void {
  io.stdout.write(`${JSON.stringify(document)}\n`);
}
