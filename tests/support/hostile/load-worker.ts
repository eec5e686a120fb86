// SPDX-License-Identifier: Apache-2.0
/**
 * Loads mutated streams one after another, each into a destination of its own in this process, and prints one line of
 * JSON a load: `node --expose-gc load-worker.ts FOLDER FIRST END STEP`. FOLDER holds the valid streams (saveStreams).
 */
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { MigrationError } from '../../../src-main/machine/engine/errors.ts';
import type { IncomingMigration } from '../../../src-main/machine/engine/incoming.ts';
import { seeded } from '../../unit/vmstate/seeded.ts';
import { Destination } from './destination.ts';
import { sentenceFault, type LoadLine } from './load-report.ts';
import { dissect, mutate, neighbourhood, type DissectedStream, type MutatedStream } from './stream-mutations.ts';
import { readStreams } from './valid-stream.ts';

/** A load takes milliseconds; a box may be busy. */
const loadDeadlineMs = 20_000;
/** A load that is closed from outside ends at once. */
const closeDeadlineMs = 2_000;
/** Every so many mutations the stream is cut off and the connection stays open. */
const silentEvery = 20;
const allowedGrowthBytes = 90 * 1024 ** 2;

const [folder = '', first = '0', end = '0', step = '1'] = process.argv.slice(2);
const corpus = readStreams(folder).map(dissect);

let before = await held();
for (const stream of corpus) await warmUp(stream);
for (let index = Number(first); index < Number(end); index += Number(step)) {
  const random = seeded(index);
  const silent = index % silentEvery === 0;
  const mutated = mutate(corpus, random);
  const stream = silent
    ? { ...mutated, bytes: mutated.bytes.subarray(0, random.below(mutated.bytes.length + 1)) }
    : mutated;
  const line = await loadAndLook(index, stream, silent);
  if (line.fault !== undefined) writeFileSync(join(folder, `mutation-${index}.bin`), stream.bytes);
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
// Whatever is still alive here (a timer, a handle) is a leftover: the process has to end by itself.

/** The stream as it is must load: else its mutations would test nothing. */
async function warmUp(base: DissectedStream): Promise<void> {
  const { outcome, sentence = '' } = await loadAndLook(-1, { base, bytes: base.bytes, steps: [], at: 0 }, false);
  if (outcome !== 'completed') throw new Error(`${base.name} does not load: ${sentence}`);
}

/** One load, and what it left behind. */
async function loadAndLook(index: number, stream: MutatedStream, silent: boolean): Promise<LoadLine> {
  writeFileSync('/proc/self/clear_refs', '5'); // the peak starts anew
  const started = performance.now();
  const line = await load(stream, silent);
  const milliseconds = performance.now() - started;
  const growthBytes = peakBytes() - before.residentBytes;
  const after = await held();
  const left = after.descriptors.filter((open) => !before.descriptors.includes(open));
  const faults = [
    line.fault,
    left.length > 0 && `left open: ${left.join(', ')}`,
    after.threads > before.threads && `${after.threads - before.threads} threads are left`,
    growthBytes > stream.base.memoryBytes + allowedGrowthBytes && `the process grew by ${growthBytes >> 20} MiB`,
  ].filter((fault) => typeof fault === 'string');
  before = after;
  if (faults.length === 0) return { ...line, index, milliseconds, growthBytes };
  const report = { stream: stream.base.name, steps: stream.steps, bytes: neighbourhood(stream) };
  return { ...line, index, milliseconds, growthBytes, fault: faults.join('; '), ...report };
}

type LoadOutcome = Pick<LoadLine, 'outcome' | 'code' | 'sentence' | 'fault'>;

/** Nothing of it is referred to afterwards: what is held until the garbage is collected counts as given back. */
async function load(stream: MutatedStream, silent: boolean): Promise<LoadOutcome> {
  const { machine, memoryBytes } = stream.base;
  const destination = await Destination.start({ machine, memoryBytes, folder });
  const { migration } = destination;
  const peer = await destination.peer();
  peer.write(stream.bytes);
  if (!silent) peer.end();
  const ended = silent ? await endSilently(destination) : await within(loadDeadlineMs, migration.finished);
  if (!ended) return { outcome: 'hang', fault: `no end, status ${migration.status}, phase ${migration.phase}` };
  await destination.close();
  peer.destroy();
  if (!peer.closed) await new Promise((resolve) => peer.once('close', resolve));

  const { error } = migration;
  const { address } = destination;
  const outcome = outcomeOf(migration);
  const fault =
    address.type === 'unix' && existsSync(address.path)
      ? 'its socket is left behind'
      : faultOf(outcome, error, destination.failure, machine);
  return {
    outcome,
    ...(error && { sentence: error.message, code: error.code }),
    ...(fault !== undefined && { fault }),
  };
}

function outcomeOf({ status, phase, error }: IncomingMigration): LoadLine['outcome'] {
  if (status === 'completed') return 'completed';
  if (phase === 'waiting') return 'waiting';
  return error?.code === 'cancelled' ? 'cancelled' : 'failed';
}

function faultOf(
  outcome: LoadLine['outcome'],
  error: MigrationError | undefined,
  reported: MigrationError | undefined,
  machine: 'none' | 'microvm',
): string | undefined {
  if (outcome === 'completed') return undefined;
  if (!(error instanceof MigrationError)) return 'no error says why';
  if (outcome === 'failed' && reported !== error) return 'the failure was not reported';
  if (error.code === 'machine' && machine === 'none') return `an error of the machine: ${error.stack ?? ''}`;
  return sentenceFault(error.message);
}

/** Gives the destination time to read what there is, then closes it: false when that does not end it at once. */
async function endSilently(destination: Destination): Promise<boolean> {
  await within(20, destination.migration.finished);
  return await within(closeDeadlineMs, destination.migration.close());
}

async function within(milliseconds: number, promise: Promise<unknown>): Promise<boolean> {
  const late = new AbortController();
  const outcome = await Promise.race([
    promise.then(() => true),
    delay(milliseconds, false, { signal: late.signal }).catch(() => false),
  ]);
  late.abort();
  return outcome;
}

/** What this process holds once its garbage is collected. */
async function held(): Promise<{ descriptors: string[]; threads: number; residentBytes: number }> {
  globalThis.gc?.();
  await turn();
  await turn();
  const descriptors = readdirSync('/proc/self/fd').flatMap((number) => {
    try {
      return `${number} ${readlinkSync(`/proc/self/fd/${number}`)}`;
    } catch {
      return []; // the one that was open for reading the directory
    }
  });
  const threads = readdirSync('/proc/self/task').length;
  return { descriptors, threads, residentBytes: process.memoryUsage.rss() };
}

function peakBytes(): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(match?.[1] ?? Infinity) * 1024;
}
