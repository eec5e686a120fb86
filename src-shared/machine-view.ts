// SPDX-License-Identifier: Apache-2.0
/** A machine as manager and screens see it, and the settings from which one is made. */
import { z } from 'zod';
import { RUN_STATES } from './migration/status.ts';

export const machineId = z.uuid();

const name = z
  .string()
  .trim()
  .min(1, 'Give the machine a name')
  .max(60, 'A name has at most 60 characters')
  .regex(/^[^\p{C}]*$/u, 'A name has printable characters only');

/** What the create dialog asks. Sizes in bytes. Bounds as in machine-settings.ts. */
export const machineSettings = z.strictObject({
  name,
  memoryBytes: z
    .int()
    .min(1024 ** 2)
    .max(1024 ** 4)
    .multipleOf(4096),
  cpus: z.int().min(1).max(16),
  cpuModel: z.enum(['x86-64-v2', 'x86-64-v3', 'host']),
  /** Memory that the demo guest rewrites. */
  workingSetBytes: z.int().min(4096).multipleOf(4096),
  /** Pages a second; 0: the guest is idle. */
  dirtyRate: z.int().min(0).max(10_000_000),
  /** `attached`: ends with the app. `detached`: survives it, and is found again by the next start. */
  lifetime: z.enum(['attached', 'detached']),
});
export type MachineSettings = z.infer<typeof machineSettings>;

/**
 * `stopped`: no process. `starting`, `stopping`. `running`, `paused`: the guest is here. `waiting`: a receiver, no guest
 * yet. `incoming`: a guest is arriving. `moving`: a run takes the guest away. `left`: the guest has left this process.
 * `saved`: no process; the guest is in a file.
 * `crashed`: a vCPU cannot go on, or the process died. `no-contact`: the process lives and does not answer.
 */
export const MACHINE_STATES = [
  'stopped',
  'saved',
  'starting',
  'running',
  'paused',
  'waiting',
  'incoming',
  'moving',
  'left',
  'stopping',
  'crashed',
  'no-contact',
] as const;
export type MachineState = (typeof MACHINE_STATES)[number];

export const machineView = z.object({
  id: machineId,
  settings: machineSettings,
  kind: z.enum(['godwit', 'qemu']),
  state: z.enum(MACHINE_STATES),
  /** QEMU's word, as the process last said it; null without a process. */
  runState: z.enum(RUN_STATES).nullable(),
  pid: z.int().nullable(),
  /** Milliseconds since the guest's process was started (of this machine; a move does not reset it); null when not running. */
  uptimeMs: z.number().nullable(),
  /** Milliseconds since the process last answered; null when it never did. */
  contactAgeMs: z.number().nullable(),
  /** The user's QMP socket, to be used by other tools; null without a process. */
  userQmpPath: z.string().nullable(),
  /** Whether it can move now. `reasons`: sentences, from `blocked-reasons` or from its state. */
  canMove: z.object({ verdict: z.enum(['yes', 'no', 'unknown', 'moving']), reasons: z.array(z.string()) }),
  /** The run that this machine takes part in now. */
  activeRunId: z.string().nullable(),
  lastRun: z
    .object({ id: z.string(), outcome: z.string(), endedAt: z.string(), downtimeMs: z.number().nullable() })
    .nullable(),
  /** What it said before it ended, or what the manager knows of its death; null when there is nothing to say. */
  lastWords: z.string().nullable(),
  /** The file that its guest was saved to, where it is `saved`; null otherwise. */
  savedTo: z.string().nullable(),
  /** ISO 8601. */
  createdAt: z.string(),
  /** A receiver's listening address for this box; null otherwise. */
  listensAt: z.string().nullable(),
});
export type MachineView = z.infer<typeof machineView>;
