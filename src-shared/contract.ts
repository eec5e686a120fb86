// SPDX-License-Identifier: Apache-2.0
/**
 * Every call and every event between a renderer and the manager, as schemas. Both ends of a process border check by
 * them, whatever carries the bytes (Electron's IPC, HTTP and WebSocket). From here only typed addresses are built: no
 * raw URI, no `exec`, no `fd`, no raw QMP.
 */
import { z } from 'zod';
import { machineId, machineSettings, machineView } from './machine-view.ts';
import { migrationSettings, profile } from './profile.ts';
import { destinationRequest, filePath, runEvent, runId, runSample, runSummary, runView, whereabouts } from './run.ts';

export const CONTRACT_VERSION = 1;

const nothing = z.strictObject({});
const done = z.object({});

/** What the user laid down in the wizard. */
export const migrationRequest = z.strictObject({
  machineId,
  destination: destinationRequest,
  /** Id of a shipped or saved profile. */
  profileId: z.string().min(1).max(80),
  /** Laid over the profile. */
  overrides: migrationSettings,
});
export type MigrationRequest = z.infer<typeof migrationRequest>;

export const preflightItem = z.object({
  /** Stable, for ticks: `guest-state`, `capability-conflict:postcopy-ram`, … */
  id: z.string(),
  group: z.enum(['guest', 'cpu', 'memory', 'devices', 'settings', 'transport', 'receiver', 'disk']),
  severity: z.enum(['blocker', 'risk', 'note', 'passed']),
  title: z.string(),
  /** What it means, and the remedy. */
  detail: z.string(),
});
export type PreflightItem = z.infer<typeof preflightItem>;

export const preflight = z.object({
  items: z.array(preflightItem),
  /** No blocker. Risks still need their ticks. */
  canStart: z.boolean(),
  /** The settings that the run would use, profile and overrides together. */
  settings: migrationSettings,
  /** ISO 8601. */
  checkedAt: z.string(),
});
export type Preflight = z.infer<typeof preflight>;

export const systemCheck = z.object({
  id: z.string(),
  title: z.string(),
  state: z.enum(['ok', 'warning', 'problem', 'unknown']),
  detail: z.string(),
  /** What to do; null where there is nothing to do. */
  remedy: z.string().nullable(),
});
export type SystemCheck = z.infer<typeof systemCheck>;

export const appInfo = z.object({
  version: z.string(),
  contract: z.literal(CONTRACT_VERSION),
  host: z.string(),
  /** `served`: over HTTP; `desktop`: in Electron. */
  vehicle: z.enum(['served', 'desktop']),
  dataFolder: z.string(),
  pid: z.int(),
  /** The store's state: a sentence when runs cannot be recorded; null when all is well. */
  storeProblem: z.string().nullable(),
});

export const settings = z.strictObject({
  theme: z.enum(['system', 'light', 'dark', 'contrast']),
  /** Binary (MiB) or decimal (MB). */
  units: z.enum(['binary', 'decimal']),
  defaultProfileId: z.string().min(1).max(80),
  /** Days; 0: for ever. */
  keepRunsDays: z.int().min(0).max(3650),
  /** Of the desktop: told by it when a run ends, pauses or waits, unless its window is looked at. */
  notifications: z.boolean(),
  /** Of the desktop: an icon with the runs under way; closing the window then keeps the app. */
  tray: z.boolean(),
});
export type Settings = z.infer<typeof settings>;
export const DEFAULT_SETTINGS: Settings = {
  theme: 'system',
  units: 'binary',
  defaultProfileId: 'balanced',
  keepRunsDays: 0,
  notifications: true,
  // Some desktops hide it.
  tray: false,
};

const profileView = z.object({ id: z.string(), shipped: z.boolean(), profile });
const count = z.int().nonnegative();

export const calls = {
  'app.info': { input: nothing, output: appInfo },
  /** Runs the checks now. */
  'system.check': { input: nothing, output: z.object({ checks: z.array(systemCheck) }) },

  'machines.list': { input: nothing, output: z.object({ machines: z.array(machineView) }) },
  /** `receiver`: it starts empty and waits for a guest of these settings. */
  'machines.create': {
    input: z.strictObject({ settings: machineSettings, receiver: z.boolean() }),
    output: machineView,
  },
  /**
   * `from`: `new`, a guest that begins anew, or a file that one was saved to. Without it, a saved machine goes on where it
   * was saved, and any other one begins anew.
   */
  'machines.start': {
    input: z.strictObject({
      id: machineId,
      from: z.union([z.literal('new'), z.strictObject({ file: filePath })]).optional(),
    }),
    output: done,
  },
  /** Ends the process, and with it the guest. */
  'machines.stop': { input: z.strictObject({ id: machineId }), output: done },
  'machines.pause': { input: z.strictObject({ id: machineId }), output: done },
  'machines.resume': { input: z.strictObject({ id: machineId }), output: done },
  /** Takes it off the list; its process goes on until `undoUntil` passes, so that undo loses nothing. */
  'machines.delete': { input: z.strictObject({ id: machineId }), output: z.object({ undoUntil: z.string() }) },
  'machines.undoDelete': { input: z.strictObject({ id: machineId }), output: machineView },
  /** Serial output from byte `offset` on, at most 64 KiB of it, base64. `end`: where the next call goes on. */
  'machines.serial': {
    input: z.strictObject({ id: machineId, offset: count }),
    output: z.object({ start: count, end: count, data: z.string() }),
  },

  'profiles.list': { input: nothing, output: z.object({ profiles: z.array(profileView) }) },

  'migration.preflight': { input: migrationRequest, output: preflight },
  'migration.start': {
    input: migrationRequest.extend({ acceptedRisks: z.array(z.string().max(200)).max(100) }),
    output: z.object({ runId }),
  },
  'migration.cancel': { input: z.strictObject({ runId }), output: done },
  'migration.continue': { input: z.strictObject({ runId }), output: done },
  'migration.pause': { input: z.strictObject({ runId }), output: done },
  'migration.recover': { input: z.strictObject({ runId }), output: done },
  'migration.startPostcopy': { input: z.strictObject({ runId }), output: done },
  'migration.setLimits': {
    input: z.strictObject({
      runId,
      /** Bytes per second; 0: no limit. */
      maxBandwidth: z
        .int()
        .min(0)
        .max(2 ** 50)
        .optional(),
      downtimeLimitMs: z.int().min(0).max(2_000_000).optional(),
    }),
    output: done,
  },

  'runs.active': { input: nothing, output: z.object({ runs: z.array(runView) }) },
  /** Newest first. `before`: the `startedAt` of the last one seen. */
  'runs.list': {
    input: z.strictObject({
      limit: z.int().min(1).max(500),
      before: z.string().max(40).optional(),
      search: z.string().max(200).optional(),
      outcome: z.string().max(20).optional(),
    }),
    output: z.object({ runs: z.array(runSummary), total: count }),
  },
  'runs.get': { input: z.strictObject({ runId }), output: runView },
  /** In order of time, from index `from`. */
  'runs.samples': {
    input: z.strictObject({ runId, from: count, limit: z.int().min(1).max(20_000) }),
    output: z.object({ samples: z.array(runSample), total: count }),
  },
  'runs.events': {
    input: z.strictObject({ runId, from: count, limit: z.int().min(1).max(10_000) }),
    output: z.object({ events: z.array(runEvent), total: count }),
  },
  'runs.delete': { input: z.strictObject({ runId }), output: done },
  /** Asks both ends now. */
  'runs.where': { input: z.strictObject({ runId }), output: whereabouts },

  'settings.get': { input: nothing, output: settings },
  'settings.set': { input: settings.partial(), output: settings },
} as const;

export type CallName = keyof typeof calls;
export type CallInput<Name extends CallName> = z.input<(typeof calls)[Name]['input']>;
export type CallOutput<Name extends CallName> = z.output<(typeof calls)[Name]['output']>;

export function isCallName(name: string): name is CallName {
  return Object.hasOwn(calls, name);
}

/** What the manager tells without being asked. */
export const events = {
  'machine.changed': machineView,
  'machine.removed': z.object({ id: machineId }),
  /** At most 10 a second for each run; a change of status at once. */
  'run.changed': runView,
  'run.sample': z.object({ runId, index: count, sample: runSample }),
  'run.event': z.object({ runId, event: runEvent }),
  'settings.changed': settings,
  /** Something that belongs to no machine and no run: the store is locked, a machine died while nobody looked. */
  notice: z.object({ level: z.enum(['info', 'warning', 'error']), text: z.string() }),
} as const;

export type EventName = keyof typeof events;
export type EventData<Name extends EventName> = z.output<(typeof events)[Name]>;

export function isEventName(name: string): name is EventName {
  return Object.hasOwn(events, name);
}

/** `seq` counts from 1 within `epoch`, which names one life of the manager. */
export type EventEnvelope = {
  [Name in EventName]: {
    readonly epoch: string;
    readonly seq: number;
    readonly name: Name;
    readonly data: EventData<Name>;
  };
}[EventName];

/**
 * How a call ends badly.
 * - `invalid`: the input is not of the schema
 * - `not-found`: no such machine, run or profile
 * - `refused`: the state does not allow it; the message is the engine's reason
 * - `failed`: it was tried; the message says what happened and where the guest is
 * - `unavailable`: the manager cannot do it now (store locked, no contact)
 */
export const CALL_ERROR_CODES = ['invalid', 'not-found', 'refused', 'failed', 'unavailable'] as const;
export const callError = z.object({ code: z.enum(CALL_ERROR_CODES), message: z.string() });
export type CallErrorData = z.infer<typeof callError>;

/** The contract as a renderer or a shell holds it. A call that ends badly rejects with an error that has `code` and `message`. */
export interface GodwitApi {
  call<Name extends CallName>(name: Name, input: CallInput<Name>): Promise<CallOutput<Name>>;
  /**
   * Calls `listener` with every event from now on, in order. `onGap`: events were missed (a reconnect after too long, or
   * a manager that started anew): what is shown must be asked for again. Answers the function that ends it.
   */
  subscribe(listener: (event: EventEnvelope) => void, onGap: () => void): () => void;
}
