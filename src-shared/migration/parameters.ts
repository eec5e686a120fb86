// SPDX-License-Identifier: Apache-2.0
/** Migration parameters of QEMU 8.2/9.0: types and defaults in one table, ranges and their sentences in another. */
import { ZERO_COPY_REFUSAL } from './capabilities.ts';
import { PEER_RELEASES, type PeerRelease } from './peer-release.ts';
import type { Uint64 } from './uint64.ts';

/** Block dirty bitmaps under the names that they have on the wire. */
export type BitmapMapping = {
  readonly 'node-name': string;
  readonly alias: string;
  readonly bitmaps: readonly {
    readonly name: string;
    readonly alias: string;
    readonly transform?: { readonly persistent?: boolean };
  }[];
};

export const MULTIFD_COMPRESSIONS = ['none', 'zlib', 'zstd'] as const;
/** `cpr-transfer` is of 10.0. */
export const MIGRATION_MODES = ['normal', 'cpr-reboot', 'cpr-transfer'] as const;
export type MigrationMode = (typeof MIGRATION_MODES)[number];
export const ZERO_PAGE_DETECTIONS = ['none', 'legacy', 'multifd'] as const;

/** The whole set, by QEMU's names. `block-bitmap-mapping` is absent until it is set. */
export type MigrationParameters = {
  /** Announcements of the guest's network address after it moved: milliseconds, and a count for `rounds`. */
  readonly 'announce-initial': Uint64;
  readonly 'announce-max': Uint64;
  readonly 'announce-rounds': Uint64;
  readonly 'announce-step': Uint64;
  readonly 'compress-level': number;
  readonly 'compress-threads': number;
  readonly 'compress-wait-thread': boolean;
  readonly 'decompress-threads': number;
  /** Percent. */
  readonly 'throttle-trigger-threshold': number;
  readonly 'cpu-throttle-initial': number;
  readonly 'cpu-throttle-increment': number;
  readonly 'cpu-throttle-tailslow': boolean;
  readonly 'tls-creds': string;
  readonly 'tls-hostname': string;
  readonly 'tls-authz': string;
  /** Bytes per second; 0 is no limit. */
  readonly 'max-bandwidth': Uint64;
  /** Bytes per second; 0 is "as measured". */
  readonly 'avail-switchover-bandwidth': Uint64;
  /** Milliseconds. */
  readonly 'downtime-limit': Uint64;
  readonly 'x-checkpoint-delay': number;
  readonly 'block-incremental': boolean;
  readonly 'multifd-channels': number;
  /** Bytes. */
  readonly 'xbzrle-cache-size': Uint64;
  /** Bytes per second; 0 is no limit. */
  readonly 'max-postcopy-bandwidth': Uint64;
  readonly 'max-cpu-throttle': number;
  readonly 'multifd-compression': (typeof MULTIFD_COMPRESSIONS)[number];
  readonly 'multifd-zlib-level': number;
  readonly 'multifd-zstd-level': number;
  readonly 'block-bitmap-mapping'?: readonly BitmapMapping[];
  /** Milliseconds. */
  readonly 'x-vcpu-dirty-limit-period': Uint64;
  /** MB per second. */
  readonly 'vcpu-dirty-limit': Uint64;
  readonly mode: MigrationMode;
  readonly 'zero-page-detection': (typeof ZERO_PAGE_DETECTIONS)[number];
  /** Godwit's own: the release of QEMU that the stream is written for. */
  readonly 'x-godwit-peer': PeerRelease;
};

export type ParameterName = keyof MigrationParameters;

/** A change: any subset; null for a text means "". */
export type ParameterChange = {
  readonly [Name in ParameterName]?: Name extends `tls-${string}`
    ? MigrationParameters[Name] | null
    : MigrationParameters[Name];
};

/** How a value looks in a request. `size` and `u64` are both unsigned 64-bit integers; a `size` counts something. */
export type ParameterType =
  'size' | 'u64' | 'u32' | 'u8' | 'bool' | 'text-or-null' | 'bitmap-mapping' | { readonly oneOf: readonly string[] };

/** How each parameter looks in a request, in QEMU's order. */
export const PARAMETER_TYPES: Readonly<Record<ParameterName, ParameterType>> = {
  'announce-initial': 'size',
  'announce-max': 'size',
  'announce-rounds': 'size',
  'announce-step': 'size',
  'compress-level': 'u8',
  'compress-threads': 'u8',
  'compress-wait-thread': 'bool',
  'decompress-threads': 'u8',
  'throttle-trigger-threshold': 'u8',
  'cpu-throttle-initial': 'u8',
  'cpu-throttle-increment': 'u8',
  'cpu-throttle-tailslow': 'bool',
  'tls-creds': 'text-or-null',
  'tls-hostname': 'text-or-null',
  'tls-authz': 'text-or-null',
  'max-bandwidth': 'size',
  'avail-switchover-bandwidth': 'size',
  'downtime-limit': 'u64',
  'x-checkpoint-delay': 'u32',
  'block-incremental': 'bool',
  'multifd-channels': 'u8',
  'xbzrle-cache-size': 'size',
  'max-postcopy-bandwidth': 'size',
  'max-cpu-throttle': 'u8',
  'multifd-compression': { oneOf: MULTIFD_COMPRESSIONS },
  'multifd-zlib-level': 'u8',
  'multifd-zstd-level': 'u8',
  'block-bitmap-mapping': 'bitmap-mapping',
  'x-vcpu-dirty-limit-period': 'u64',
  'vcpu-dirty-limit': 'u64',
  mode: { oneOf: MIGRATION_MODES },
  'zero-page-detection': { oneOf: ZERO_PAGE_DETECTIONS },
  'x-godwit-peer': { oneOf: PEER_RELEASES },
};

export const PARAMETER_NAMES = Object.keys(PARAMETER_TYPES) as readonly ParameterName[];

/** The set of a process that was told nothing. */
export const DEFAULT_PARAMETERS: MigrationParameters = {
  'announce-initial': 50,
  'announce-max': 550,
  'announce-rounds': 5,
  'announce-step': 100,
  'compress-level': 1,
  'compress-threads': 8,
  'compress-wait-thread': true,
  'decompress-threads': 2,
  'throttle-trigger-threshold': 50,
  'cpu-throttle-initial': 20,
  'cpu-throttle-increment': 10,
  'cpu-throttle-tailslow': false,
  'tls-creds': '',
  'tls-hostname': '',
  'tls-authz': '',
  'max-bandwidth': 134_217_728,
  'avail-switchover-bandwidth': 0,
  'downtime-limit': 300,
  'x-checkpoint-delay': 20_000,
  'block-incremental': false,
  'multifd-channels': 2,
  'xbzrle-cache-size': 67_108_864,
  'max-postcopy-bandwidth': 0,
  'max-cpu-throttle': 99,
  'multifd-compression': 'none',
  'multifd-zlib-level': 1,
  'multifd-zstd-level': 1,
  'x-vcpu-dirty-limit-period': 1000,
  'vcpu-dirty-limit': 1,
  mode: 'normal',
  'zero-page-detection': 'multifd',
  'x-godwit-peer': '7.2',
};

/** Smallest xbzrle cache: one page of the guest. */
const TARGET_PAGE_BYTES = 4096n;

type Check = (set: MigrationParameters) => string | undefined;

/** Range errors spell the name with underscores, type errors with dashes. */
const expects = (name: ParameterName, text: string): string =>
  `Parameter '${name.replaceAll('-', '_')}' expects ${text}`;

type NumericName = { [N in ParameterName]-?: MigrationParameters[N] extends Uint64 ? N : never }[ParameterName];

const range =
  (name: NumericName, min: number, max: number, text: string): Check =>
  (set) =>
    set[name] < min || set[name] > max ? expects(name, text) : undefined;

const powerOfTwo =
  (name: NumericName, text: string): Check =>
  (set) => {
    const value = BigInt(set[name]);
    return value < TARGET_PAGE_BYTES || (value & (value - 1n)) !== 0n ? expects(name, text) : undefined;
  };

const throttleCeiling: Check = (set) =>
  set['max-cpu-throttle'] < set['cpu-throttle-initial'] || set['max-cpu-throttle'] > 99
    ? expects('max-cpu-throttle', 'an integer in the range of cpu_throttle_initial to 99')
    : undefined;

/** QEMU keeps the dashes in this one name. */
const dirtyLimitPeriod: Check = (set) =>
  set['x-vcpu-dirty-limit-period'] < 1 || set['x-vcpu-dirty-limit-period'] > 1000
    ? "Parameter 'x-vcpu-dirty-limit-period' expects a value between 1 and 1000"
    : undefined;

/** QEMU's sentence says "greater than", and accepts 1. */
const dirtyLimit: Check = (set) =>
  set['vcpu-dirty-limit'] < 1 ? "Parameter 'vcpu_dirty_limit' must be greater than 1 MB/s" : undefined;

/** In the order in which QEMU tests them: the first sentence is the answer. */
const CHECKS: readonly Check[] = [
  range('compress-level', 0, 9, 'a value between 0 and 9'),
  range('compress-threads', 1, 255, 'a value between 1 and 255'),
  range('decompress-threads', 1, 255, 'a value between 1 and 255'),
  range('throttle-trigger-threshold', 1, 100, 'an integer in the range of 1 to 100'),
  range('cpu-throttle-initial', 1, 99, 'an integer in the range of 1 to 99'),
  range('cpu-throttle-increment', 1, 99, 'an integer in the range of 1 to 99'),
  range('downtime-limit', 0, 2_000_000, 'an integer in the range of 0 to (2000 * 1000) ms'),
  range('multifd-channels', 1, 255, 'a value between 1 and 255'),
  range('multifd-zlib-level', 0, 9, 'a value between 0 and 9'),
  range('multifd-zstd-level', 0, 20, 'a value between 0 and 20'),
  powerOfTwo('xbzrle-cache-size', 'a power of two no less than the target page size'),
  throttleCeiling,
  range('announce-initial', 0, 100_000, 'a value between 0 and 100000'),
  range('announce-max', 0, 100_000, 'a value between 0 and 100000'),
  range('announce-rounds', 0, 1000, 'a value between 0 and 1000'),
  // The sentence says 0, and 0 is refused all the same.
  range('announce-step', 1, 10_000, 'a value between 0 and 10000'),
  dirtyLimitPeriod,
  dirtyLimit,
];

/** The sentence that refuses a whole set, or `undefined`. */
export function checkParameters(set: MigrationParameters): string | undefined {
  for (const check of CHECKS) {
    const sentence = check(set);
    if (sentence !== undefined) return sentence;
  }
  return undefined;
}

export type ParameterOutcome =
  { readonly ok: true; readonly parameters: MigrationParameters } | { readonly ok: false; readonly sentence: string };

/**
 * Lays a change, whose types are already checked, over the set in force. The result is checked as a whole and taken as a
 * whole. `zeroCopySend` is the capability of that name, which excludes compression and TLS.
 */
export function applyParameters(
  current: MigrationParameters,
  change: ParameterChange,
  context: { readonly zeroCopySend?: boolean } = {},
): ParameterOutcome {
  const given = Object.fromEntries(
    (Object.entries(change) as [string, unknown][])
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, value ?? '']),
  );
  const parameters: MigrationParameters = { ...current, ...given };
  const excluded = parameters['multifd-compression'] !== 'none' || parameters['tls-creds'] !== '';
  const sentence =
    checkParameters(parameters) ?? (context.zeroCopySend === true && excluded ? ZERO_COPY_REFUSAL : undefined);
  return sentence === undefined ? { ok: true, parameters } : { ok: false, sentence };
}

/**
 * The sentence by which `migrate` and `migrate-incoming` refuse parameters that promise what this version cannot do. A
 * demand for encryption above all is never answered with a plain channel.
 */
export function missingParameterMechanism(set: MigrationParameters): string | undefined {
  if (set['tls-creds'] !== '') return `No TLS credentials with id '${set['tls-creds']}'`;
  if (set.mode === 'cpr-transfer') return `Migration mode '${set.mode}' is not supported by this version of Godwit`;
  return undefined;
}
