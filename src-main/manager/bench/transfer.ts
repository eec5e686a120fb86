// SPDX-License-Identifier: Apache-2.0
/** One transfer between two fresh processes, measured. */
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { deadlines } from '../deadlines.ts';
import type { MachineLink } from '../machines/link.ts';
import type { BenchEnd, Contestant } from './contestant.ts';
import { processCpuSeconds } from './cpu-time.ts';
import type { BenchRow } from './rows.ts';
import { BenchError } from './types.ts';
import type { TransferSample } from './types.ts';

const PAGE_BYTES = 4096;
const SETTLE_INTERVAL_MS = 2;

const outcomeReply = z.object({
  status: z.string(),
  'error-desc': z.string().optional(),
  'total-time': z.number(),
  ram: z.object({ normal: z.coerce.number(), duplicate: z.coerce.number() }),
});

/** `image`: the file with the content of random RAM. Starts both ends, moves the RAM once, and removes both. */
export async function measureTransfer(
  contestant: Contestant,
  row: BenchRow,
  image: string,
  signal: AbortSignal,
): Promise<TransferSample> {
  const ends: BenchEnd[] = [];
  const start = async (role: 'source' | 'destination'): Promise<BenchEnd> => {
    const loaded = role === 'source' && row.content === 'random' ? { image } : {};
    const end = await contestant.startEnd({ role, memoryBytes: row.memoryBytes, ...loaded, signal });
    ends.push(end);
    return end;
  };
  try {
    // Both attempts are waited for: one that is still starting must not be left behind.
    const started = await Promise.allSettled([start('source'), start('destination')]);
    const [source, destination] = started.map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    });
    if (source === undefined || destination === undefined) throw new RangeError('two ends were started');
    return await move(source, destination, row, signal);
  } finally {
    await Promise.all(ends.map((end) => end.dispose()));
  }
}

async function move(
  source: BenchEnd,
  destination: BenchEnd,
  row: BenchRow,
  signal: AbortSignal,
): Promise<TransferSample> {
  const uri = await prepare(source, destination, row);
  const completed = sourceCompleted(source.link);
  const before = [source, destination].map(({ pid }) => processCpuSeconds(pid));
  const startedAt = performance.now();
  await source.link.execute('migrate', { uri });
  const completedAt = await within(Promise.race([completed, source.failure, destination.failure]), row, signal);
  const after = [source, destination].map(({ pid }) => processCpuSeconds(pid));
  // QEMU says `completed` before it has added up its own times; they are there once the guest counts as moved.
  while ((await source.link.runState()) !== 'postmigrate') await sleep(SETTLE_INTERVAL_MS, undefined, { signal });
  const outcome = outcomeReply.parse(await source.link.execute('query-migrate'));
  checkOutcome(outcome, row);
  const [sourceCpuSeconds = 0, destinationCpuSeconds = 0] = after.map((seconds, end) => seconds - (before[end] ?? 0));
  return { totalMs: outcome['total-time'], wallMs: completedAt - startedAt, sourceCpuSeconds, destinationCpuSeconds };
}

/** The same settings for every contestant. Answers where the destination listens. */
async function prepare(source: BenchEnd, destination: BenchEnd, row: BenchRow): Promise<string> {
  for (const { link } of [source, destination]) await link.setCapabilities(['events', 'return-path']);
  await source.link.execute('migrate-set-parameters', { 'max-bandwidth': 0 }); // unlimited
  if (row.transport === 'unix') {
    const uri = `unix:${join(destination.folder, 'migration.sock')}`;
    await destination.link.execute('migrate-incoming', { uri });
    return uri;
  }
  await destination.link.execute('migrate-incoming', { uri: 'tcp:127.0.0.1:0' });
  const [address] = (await destination.link.migration()).info['socket-address'] ?? [];
  if (address?.port === undefined) throw new BenchError('FAILED', 'the destination does not say where it listens');
  return `tcp:127.0.0.1:${address.port}`;
}

/** Resolves with the time at which the source said `completed`; rejects when it gave up. */
function sourceCompleted(link: MachineLink): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  link.onEvent(({ name, data, at }) => {
    if (name !== 'MIGRATION') return;
    if (data['status'] === 'completed') resolve(at);
    if (data['status'] === 'failed' || data['status'] === 'cancelled') {
      reject(new BenchError('FAILED', `a migration ended as ${data['status']}`));
    }
  });
  promise.catch(() => undefined); // may reject while something else is waited for
  return promise;
}

async function within<T>(work: Promise<T>, row: BenchRow, signal: AbortSignal): Promise<T> {
  const limitMs = deadlines.noProgress + (row.memoryBytes / 1024 ** 3) * deadlines.machineReadyPerGiB;
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new BenchError('FAILED', `a transfer of row ${row.id} has not ended after ${String(limitMs / 1000)} s`));
  }, limitMs);
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

/** Did it do the work that the row is about? Otherwise its time means nothing. */
function checkOutcome(outcome: z.infer<typeof outcomeReply>, row: BenchRow): void {
  if (outcome.status !== 'completed') {
    throw new BenchError(
      'FAILED',
      `a migration ended as ${outcome.status}: ${outcome['error-desc'] ?? 'no reason given'}`,
    );
  }
  const pages = row.memoryBytes / PAGE_BYTES;
  const { normal, duplicate } = outcome.ram;
  const sent = row.content === 'random' ? normal : duplicate;
  if (sent < pages) {
    const counts = `${String(normal)} normal and ${String(duplicate)} zero pages`;
    throw new BenchError('FAILED', `row ${row.id} must move ${String(pages)} ${row.content} pages; it moved ${counts}`);
  }
}
