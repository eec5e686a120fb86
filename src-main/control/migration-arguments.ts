// SPDX-License-Identifier: Apache-2.0
/** Argument schemas of the migration commands, from the tables of the shared vocabulary. */
import { CAPABILITY_NAMES } from '../../src-shared/migration/capabilities.ts';
import type { MigrationChannel } from '../../src-shared/migration/address.ts';
import {
  PARAMETER_TYPES,
  type BitmapMapping,
  type ParameterChange,
  type ParameterType,
} from '../../src-shared/migration/parameters.ts';
import { MIGRATION_STATUSES } from '../../src-shared/migration/status.ts';
import {
  array,
  bool,
  object,
  oneOf,
  optional,
  str,
  strOrNull,
  taggedUnion,
  uint,
  uint64,
  type ObjectSchema,
  type Optional,
  type Schema,
} from './arguments.ts';

const bitmapMapping = (): Schema<readonly BitmapMapping[]> =>
  array(
    object({
      'node-name': str(),
      alias: str(),
      bitmaps: array(
        object({ name: str(), alias: str(), transform: optional(object({ persistent: optional(bool()) })) }),
      ),
    }),
  );

function parameterSchema(type: ParameterType): Schema<unknown> {
  if (typeof type === 'object') return oneOf(type.oneOf);
  switch (type) {
    case 'size':
    case 'u64':
      return uint64();
    case 'u32':
      return uint(32);
    case 'u8':
      return uint(8);
    case 'bool':
      return bool();
    case 'text-or-null':
      return strOrNull();
    case 'bitmap-mapping':
      return bitmapMapping();
  }
}

/** `migrate-set-parameters`: any subset of the parameters. */
export const setParametersArguments: ObjectSchema<ParameterChange> = object(
  Object.fromEntries(
    Object.entries(PARAMETER_TYPES).map(([name, type]): [string, Optional<unknown>] => [
      name,
      optional(parameterSchema(type)),
    ]),
  ),
);

/** `migrate-set-capabilities`. */
export const setCapabilitiesArguments = object({
  capabilities: array(object({ capability: oneOf(CAPABILITY_NAMES), state: bool() })),
});

const inet = {
  host: str(),
  port: str(),
  numeric: optional(bool()),
  to: optional(uint(16)),
  ipv4: optional(bool()),
  ipv6: optional(bool()),
  'keep-alive': optional(bool()),
  mptcp: optional(bool()),
};

const migrationAddress = taggedUnion('transport', {
  socket: taggedUnion('type', {
    inet: object(inet),
    unix: object({ path: str(), abstract: optional(bool()), tight: optional(bool()) }),
    vsock: object({ cid: str(), port: str() }),
    fd: object({ str: str() }),
  }),
  exec: object({ args: array(str()) }),
  rdma: object(inet),
  file: object({ filename: str(), offset: uint64() }),
});

const channels: Optional<readonly MigrationChannel[]> = optional(
  array(object({ 'channel-type': oneOf(['main', 'cpr']), addr: migrationAddress })),
);

/** `migrate`. `detach` is accepted and has no effect; `blk` and `inc` are block migration, which is gone. */
export const migrateArguments = object({
  uri: optional(str()),
  channels,
  blk: optional(bool()),
  inc: optional(bool()),
  detach: optional(bool()),
  resume: optional(bool()),
});

/** `migrate-incoming`, with `exit-on-error` of 9.1. */
export const migrateIncomingArguments = object({
  uri: optional(str()),
  channels,
  'exit-on-error': optional(bool()),
});

/** `migrate-continue`. */
export const migrateContinueArguments = object({ state: oneOf(MIGRATION_STATUSES) });

/** `migrate-recover`. */
export const migrateRecoverArguments = object({ uri: str() });
