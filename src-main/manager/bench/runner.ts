// SPDX-License-Identifier: Apache-2.0
/**
 * Runs the rows. In every round each contestant transfers once and each limit is measured once, so that a disturbance
 * meets all of them; who begins changes from round to round. The first round of a row warms up and is dropped.
 */
import type { Contestant } from './contestant.ts';
import { currentLoad, describeHost } from './host.ts';
import { limitMeanings, limitsOf, measureLimit } from './limits.ts';
import { writeRandomImage } from './random-image.ts';
import type { BenchRow } from './rows.ts';
import { pairRatios, summarize } from './statistics.ts';
import { measureTransfer } from './transfer.ts';
import type {
  BenchResult,
  Comparison,
  ContestantResult,
  LimitKind,
  LimitResult,
  RowResult,
  TransferSample,
} from './types.ts';

/** One measurement is over. */
export interface BenchProgress {
  readonly row: BenchRow;
  /** 0: the warm-up. */
  readonly round: number;
  /** A contestant's name or the kind of a limit. */
  readonly subject: string;
  readonly bytesPerSecond: number;
}

export interface BenchOptions {
  readonly quick: boolean;
  readonly rows: readonly BenchRow[];
  readonly godwit: Contestant;
  readonly peers: readonly Contestant[];
  readonly signal: AbortSignal;
  readonly onProgress: (progress: BenchProgress) => void;
}

/** Everything that was measured of one row; lists are in the order of the rounds. */
interface RowSamples {
  readonly transfers: Map<Contestant, TransferSample[]>;
  readonly limits: Map<LimitKind, number[]>;
}

export async function runBench(options: BenchOptions): Promise<BenchResult> {
  const { rows, signal } = options;
  const loadBefore = currentLoad();
  const imageBytes = Math.max(0, ...rows.filter(({ content }) => content === 'random').map((row) => row.memoryBytes));
  const image = await writeRandomImage(imageBytes, signal);
  try {
    const results: RowResult[] = [];
    for (const row of rows) results.push(summarizeRow(row, await measureRow(row, image.path, options), options));
    return { quick: options.quick, host: describeHost(loadBefore), rows: results };
  } finally {
    await image.dispose();
  }
}

async function measureRow(row: BenchRow, image: string, options: BenchOptions): Promise<RowSamples> {
  const contestants = [options.godwit, ...options.peers];
  const samples: RowSamples = {
    transfers: new Map(contestants.map((contestant) => [contestant, []])),
    limits: new Map(limitsOf(row).map((kind) => [kind, []])),
  };
  for (let round = 0; round <= row.pairs; round++) {
    const report = (subject: string, bytesPerSecond: number): void => {
      options.onProgress({ row, round, subject, bytesPerSecond });
    };
    for (const contestant of rotated(contestants, round)) {
      const sample = await measureTransfer(contestant, row, image, options.signal);
      if (round > 0) samples.transfers.get(contestant)?.push(sample);
      report(contestant.name, throughput(row, sample.totalMs));
    }
    for (const [kind, speeds] of samples.limits) {
      const speed = await measureLimit(kind, row, options.signal);
      if (round > 0) speeds.push(speed);
      report(kind, speed);
    }
  }
  return samples;
}

/** The list, begun at another place in every round. */
export function rotated<T>(list: readonly T[], round: number): T[] {
  const first = list.length === 0 ? 0 : round % list.length;
  return [...list.slice(first), ...list.slice(0, first)];
}

function summarizeRow(row: BenchRow, samples: RowSamples, { godwit, peers }: BenchOptions): RowResult {
  const of = (contestant: Contestant): readonly TransferSample[] => samples.transfers.get(contestant) ?? [];
  return {
    ...row,
    contestants: [godwit, ...peers].map((contestant) => summarizeContestant(row, contestant.name, of(contestant))),
    comparisons: peers.map((peer) => compare(peer.name, of(godwit), of(peer))),
    limits: [...samples.limits].map(([kind, speeds]) => summarizeLimit(row, kind, speeds, of(godwit))),
  };
}

export function summarizeContestant(row: BenchRow, name: string, samples: readonly TransferSample[]): ContestantResult {
  return {
    name,
    samples,
    totalMs: summarize(samples.map(({ totalMs }) => totalMs)),
    wallMs: summarize(samples.map(({ wallMs }) => wallMs)),
    bytesPerSecond: summarize(samples.map(({ totalMs }) => throughput(row, totalMs))),
    cpuSeconds: summarize(samples.map(cpuSeconds)),
  };
}

/** Both lists are in the order of the rounds. Ratios are the peer's cost for each of Godwit's: above 1 Godwit wins. */
export function compare(
  peer: string,
  godwitSamples: readonly TransferSample[],
  peerSamples: readonly TransferSample[],
): Comparison {
  const ratio = (cost: (sample: TransferSample) => number) =>
    summarize(pairRatios(peerSamples.map(cost), godwitSamples.map(cost)));
  return {
    peer,
    speed: ratio(({ totalMs }) => totalMs),
    wallSpeed: ratio(({ wallMs }) => wallMs),
    cpuEconomy: ratio(cpuSeconds),
  };
}

function summarizeLimit(
  row: BenchRow,
  kind: LimitKind,
  speeds: readonly number[],
  godwitSamples: readonly TransferSample[],
): LimitResult {
  const ours = godwitSamples.map(({ totalMs }) => throughput(row, totalMs));
  return {
    kind,
    meaning: limitMeanings[kind],
    bytesPerSecond: summarize(speeds),
    godwitShare: summarize(pairRatios(ours, speeds)),
  };
}

/** A transfer within one step of a clock counts as one step: 1 ms for QEMU's total-time, 10 ms for processor time. */
const throughput = (row: BenchRow, milliseconds: number): number =>
  row.memoryBytes / (Math.max(1, milliseconds) / 1000);
const cpuSeconds = (sample: TransferSample): number =>
  Math.max(0.01, sample.sourceCpuSeconds + sample.destinationCpuSeconds);
