// SPDX-License-Identifier: Apache-2.0
/** The QMP replies that the manager reads, checked at the border: a machine is a peer like any other. */
import { z } from 'zod';

/** QMP integers arrive as number, or as bigint beyond 2^53. */
const integer = z.union([z.int(), z.bigint()]).transform((value) => BigInt(value));
const count = z.union([z.number(), z.bigint()]).transform(Number);

const heartbeat = z.object({
  vcpu: count,
  count,
  'first-generation': integer,
  generation: integer,
  'first-ns': integer,
  'last-ns': integer,
  'longest-gap-ns': integer,
  'longest-gap-end-ns': integer,
});

/** `x-godwit-heartbeats`: times are CLOCK_MONOTONIC nanoseconds, comparable between processes of one box. */
export const heartbeatsReply = z.object({
  vcpus: z.array(heartbeat),
  'pace-interval-ns': integer,
  'monotonic-ns': integer,
});
export type Heartbeats = z.infer<typeof heartbeatsReply>;
export type Heartbeat = z.infer<typeof heartbeat>;

/** `query-status`. */
export const statusReply = z.object({ status: z.string(), running: z.boolean() });

const ram = z.object({
  transferred: count,
  remaining: count,
  total: count,
  mbps: z.number().default(0),
  'dirty-pages-rate': count.default(0),
  'dirty-sync-count': count.default(0),
  'page-size': count.default(4096),
  normal: count.optional(),
  duplicate: count.optional(),
});

/** The members of `query-migrate` that a picture of a running migration needs. */
export const migrateReply = z.object({
  status: z.string().optional(),
  'error-desc': z.string().optional(),
  'total-time': count.optional(),
  downtime: count.optional(),
  'expected-downtime': count.optional(),
  'cpu-throttle-percentage': count.optional(),
  'blocked-reasons': z.array(z.string()).optional(),
  'socket-address': z
    .array(
      z.looseObject({
        type: z.string(),
        host: z.string().optional(),
        port: z.string().optional(),
        path: z.string().optional(),
        cid: z.string().optional(),
      }),
    )
    .optional(),
  ram: ram.optional(),
});
export type MigrateReply = z.infer<typeof migrateReply>;

/** `query-migrate-parameters`, the part that decides when to switch over. */
export const parametersReply = z.object({ 'downtime-limit': count });
