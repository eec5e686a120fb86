// SPDX-License-Identifier: Apache-2.0
/** One migration's record: what is sampled, what happened, and how it ended. Written by the manager, read by screens and reports. */
import { z } from 'zod';
import { CONTROLS } from './migration/controls.ts';
import { MIGRATION_STATUSES } from './migration/status.ts';
import { migrationSettings } from './profile.ts';

export const runId = z.uuid();

/**
 * `interrupted`: its owner died and nobody can say more. `lost-contact`: an end did not answer any more; where the guest
 * is must be asked again.
 */
export const RUN_OUTCOMES = ['active', 'completed', 'cancelled', 'failed', 'lost-contact', 'interrupted'] as const;
export const runOutcome = z.enum(RUN_OUTCOMES);
export type RunOutcome = z.infer<typeof runOutcome>;

const bytes = z.number().nonnegative();
const status = z.enum(MIGRATION_STATUSES);

/** Taken at 10 Hz from both ends by QMP. Times are milliseconds since the run began, on the manager's monotonic clock. */
export const runSample = z.object({
  t: z.number().nonnegative(),
  status,
  /** Of the destination; null when it did not answer. */
  destinationStatus: status.nullable(),
  /** 1 from the first pass on; 0 before. */
  pass: z.int().nonnegative(),
  transferredBytes: bytes,
  remainingBytes: bytes,
  totalBytes: bytes,
  /** Bytes per second since the sample before, as counted in `transferred`. */
  throughput: bytes,
  /** Bytes per second between the last two syncs; null before there is a reading. */
  dirtyRate: bytes.nullable(),
  expectedDowntimeMs: z.number().nonnegative().nullable(),
  downtimeLimitMs: z.number().nonnegative(),
  /** What fits into the downtime limit at the measured bandwidth; null before there is a measurement. */
  thresholdBytes: bytes.nullable(),
  /** Bytes per second; 0: no limit. */
  maxBandwidth: bytes,
  throttlePercent: z.number().nullable(),
  normalPages: z.number().nonnegative(),
  zeroPages: z.number().nonnegative(),
});
export type RunSample = z.infer<typeof runSample>;

export const RUN_EVENT_SIDES = ['source', 'destination', 'user', 'godwit'] as const;
export const RUN_EVENT_LEVELS = ['info', 'event', 'change', 'warning', 'error'] as const;

export const runEvent = z.object({
  /** Counts from 1 within the run. */
  seq: z.int().positive(),
  t: z.number().nonnegative(),
  side: z.enum(RUN_EVENT_SIDES),
  level: z.enum(RUN_EVENT_LEVELS),
  /** QMP's event name, or a short word of Godwit's own (`limit`, `phase`, `control`). */
  name: z.string().max(80),
  /** One printable sentence. */
  text: z.string().max(2000),
});
export type RunEvent = z.infer<typeof runEvent>;

/** A step of the timeline, in order. `pending` ones are told too, so that the whole way is visible. */
export const runStep = z.object({
  id: z.enum(['check', 'setup', 'pass', 'hold', 'switchover', 'postcopy', 'verify', 'cleanup']),
  /** For passes: first and last pass of the block. */
  passes: z.tuple([z.int(), z.int()]).nullable(),
  state: z.enum(['pending', 'active', 'done', 'failed', 'skipped']),
  startMs: z.number().nullable(),
  endMs: z.number().nullable(),
  /** Bytes that went over the link in it; null where that says nothing. */
  bytes: bytes.nullable(),
  note: z.string().nullable(),
});
export type RunStep = z.infer<typeof runStep>;

/** One end as it was last heard. */
export const endFacts = z.object({
  /** The process; null when there is none any more, or it is not on this box. */
  pid: z.int().nullable(),
  answers: z.boolean(),
  runState: z.string().nullable(),
  status: status.nullable(),
  contactAgeMs: z.number().nullable(),
  /** The engine's own sentence on where the guest is (`x-godwit-migration-phase`); null where there is none. */
  sentence: z.string().nullable(),
});
export type EndFacts = z.infer<typeof endFacts>;

/** "Where is my VM?": answered by asking both ends, never by a timer. */
export const whereabouts = z.object({
  guest: z.enum(['source', 'destination', 'file', 'both-parts', 'nowhere', 'unknown']),
  /** Whether the guest runs where it is. */
  runs: z.boolean(),
  /** What happened. Where the guest is. What to do. */
  sentence: z.string(),
  source: endFacts,
  destination: endFacts,
});
export type Whereabouts = z.infer<typeof whereabouts>;

/** A file that a guest is saved to, or was. */
export const filePath = z
  .string()
  .min(1)
  .max(4096)
  .refine((path) => !path.includes('\0'), 'A path has no zero in it');

export const destinationRequest = z.discriminatedUnion('kind', [
  /** A process that Godwit starts on this box; the machine goes on there. */
  z.strictObject({ kind: z.literal('new-process') }),
  /** A machine of the list that waits for a guest. */
  z.strictObject({ kind: z.literal('waiting'), machineId: z.uuid() }),
  /** A file that the guest is saved to. */
  z.strictObject({ kind: z.literal('file'), path: filePath }),
]);
export type DestinationRequest = z.infer<typeof destinationRequest>;

export const controlState = z.union([
  z.object({ enabled: z.literal(true), limits: z.enum(['all', 'bandwidth']).optional() }),
  z.object({ enabled: z.literal(false), reason: z.string() }),
]);

/** What a list shows of a run. */
export const runSummary = z.object({
  id: runId,
  machineId: z.uuid().nullable(),
  machineName: z.string(),
  sourceLabel: z.string(),
  destinationLabel: z.string(),
  profileName: z.string(),
  /** Who made it: the app, `godwit demo`, `godwit migrate`. */
  origin: z.enum(['app', 'demo', 'migrate']),
  outcome: runOutcome,
  /** ISO 8601. */
  startedAt: z.string(),
  endedAt: z.string().nullable(),
  memoryBytes: bytes,
  totalTimeMs: z.number().nullable(),
  /** Measured by the source. */
  downtimeMs: z.number().nullable(),
  transferredBytes: bytes.nullable(),
  passes: z.int().nullable(),
  /** Why it did not complete; null otherwise. */
  error: z.string().nullable(),
});
export type RunSummary = z.infer<typeof runSummary>;

/** All of a run but its samples. */
export const runView = runSummary.extend({
  status,
  /** The one sentence of the header: what is going on, or how it ended. */
  phase: z.string(),
  settings: migrationSettings,
  destination: destinationRequest,
  uri: z.string(),
  encrypted: z.boolean(),
  cpus: z.int(),
  steps: z.array(runStep),
  controls: z.record(z.enum(CONTROLS), controlState),
  where: whereabouts,
  /** The newest sample; null before the first and for recorded runs. */
  sample: runSample.nullable(),
  elapsedMs: z.number(),
  /** The longest pause that the guest itself saw, milliseconds; null where it was not measured. */
  guestPauseMs: z.number().nullable(),
});
export type RunView = z.infer<typeof runView>;

/** What is kept of a run: all of its view but what only a live one has. Its samples and events are kept beside it. */
export const recordedRun = runView.omit({ controls: true, sample: true });
export type RecordedRun = z.infer<typeof recordedRun>;
