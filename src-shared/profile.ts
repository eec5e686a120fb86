// SPDX-License-Identifier: Apache-2.0
/** Saved sets of migration settings (schema version 1), and the ones that come with Godwit. */
import { z } from 'zod';
import { CAPABILITY_NAMES } from './migration/capabilities.ts';
import { PARAMETER_TYPES } from './migration/parameters.ts';

export const PROFILE_SCHEMA_VERSION = 1;

const capabilityNames = z.enum(CAPABILITY_NAMES as [string, ...string[]]);
const parameterNames = z.enum(Object.keys(PARAMETER_TYPES) as [string, ...string[]]);

/**
 * Capabilities and parameters that differ from QEMU's defaults, under QEMU's names and in its units. No address: where
 * a machine goes is never part of a profile.
 */
export const migrationSettings = z.strictObject({
  capabilities: z.partialRecord(capabilityNames, z.boolean()),
  parameters: z.partialRecord(parameterNames, z.union([z.number().nonnegative(), z.boolean(), z.string().max(1024)])),
});
export type MigrationSettings = z.infer<typeof migrationSettings>;

export const profile = z.strictObject({
  schema: z.literal(PROFILE_SCHEMA_VERSION),
  name: z.string().trim().min(1).max(80),
  description: z.string().max(500),
  settings: migrationSettings,
});
export type Profile = z.infer<typeof profile>;

const MIB = 1024 ** 2;

/** The profiles that come with Godwit: read-only. Return path and events are switched on by the manager in any case. */
export const SHIPPED_PROFILES: readonly (Profile & { readonly id: 'gentle' | 'balanced' | 'must-finish' })[] = [
  {
    id: 'gentle',
    schema: 1,
    name: 'Gentle',
    description:
      'Leaves the network and the guest alone: 64 MiB/s, a pause of at most 100 ms. May not finish for a busy guest.',
    settings: { capabilities: {}, parameters: { 'max-bandwidth': 64 * MIB, 'downtime-limit': 100 } },
  },
  {
    id: 'balanced',
    schema: 1,
    name: 'Balanced',
    description: 'As fast as the link carries, a pause of at most 300 ms.',
    settings: { capabilities: {}, parameters: { 'max-bandwidth': 0, 'downtime-limit': 300 } },
  },
  {
    id: 'must-finish',
    schema: 1,
    name: 'Must finish',
    description: 'As fast as the link carries, and a pause of up to 2 s where the guest writes faster than that.',
    settings: { capabilities: {}, parameters: { 'max-bandwidth': 0, 'downtime-limit': 2000 } },
  },
];
