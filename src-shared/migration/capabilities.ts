// SPDX-License-Identifier: Apache-2.0
/** Migration capabilities of QEMU 8.2/9.0: the table, and the rules that a whole set has to keep. */

/**
 * What becomes of a capability here:
 * - `available`: it has its effect;
 * - `idle`: it concerns devices or transports that no machine of ours has, so nothing is promised and nothing is missed;
 * - `missing`: it may be set, as in QEMU, but `migrate` refuses to run without its mechanism.
 */
export type Mechanism = 'available' | 'idle' | 'missing';

/** Every capability in QEMU's enum order, which is the order of `query-migrate-capabilities`. All are off by default. */
export const CAPABILITIES = [
  { name: 'xbzrle', mechanism: 'missing' },
  { name: 'rdma-pin-all', mechanism: 'idle' },
  { name: 'auto-converge', mechanism: 'missing' },
  { name: 'zero-blocks', mechanism: 'idle' },
  { name: 'compress', mechanism: 'missing' },
  { name: 'events', mechanism: 'available' },
  { name: 'postcopy-ram', mechanism: 'missing' },
  { name: 'x-colo', mechanism: 'missing' },
  { name: 'release-ram', mechanism: 'available' },
  { name: 'block', mechanism: 'missing' },
  { name: 'return-path', mechanism: 'available' },
  { name: 'pause-before-switchover', mechanism: 'available' },
  { name: 'multifd', mechanism: 'missing' },
  { name: 'dirty-bitmaps', mechanism: 'idle' },
  { name: 'postcopy-blocktime', mechanism: 'missing' },
  { name: 'late-block-activate', mechanism: 'idle' },
  { name: 'x-ignore-shared', mechanism: 'available' },
  { name: 'validate-uuid', mechanism: 'available' },
  { name: 'background-snapshot', mechanism: 'missing' },
  { name: 'zero-copy-send', mechanism: 'missing' },
  { name: 'postcopy-preempt', mechanism: 'missing' },
  { name: 'switchover-ack', mechanism: 'available' },
  { name: 'dirty-limit', mechanism: 'missing' },
  { name: 'mapped-ram', mechanism: 'missing' },
] as const satisfies readonly { readonly name: string; readonly mechanism: Mechanism }[];

export type CapabilityName = (typeof CAPABILITIES)[number]['name'];
export const CAPABILITY_NAMES: readonly CapabilityName[] = CAPABILITIES.map((row) => row.name);

/** The whole set: every capability, on or off. */
export type CapabilitySet = Readonly<Record<CapabilityName, boolean>>;

/** One element of `migrate-set-capabilities` and of `query-migrate-capabilities`. */
export type CapabilityState = { readonly capability: CapabilityName; readonly state: boolean };

export const DEFAULT_CAPABILITIES: CapabilitySet = Object.freeze(
  Object.fromEntries(CAPABILITY_NAMES.map((name) => [name, false])) as Record<CapabilityName, boolean>,
);

/** What the rules depend on besides the new set. */
export interface CapabilityContext {
  /** The set in force now. */
  readonly current: CapabilitySet;
  /** `waiting`: run state `inmigrate`, no `migrate-incoming` yet; `started`: listening or later; `none`: not a destination. */
  readonly incoming: 'none' | 'waiting' | 'started';
  /** Parameters in force that zero-copy-send excludes. */
  readonly multifdCompression?: string;
  readonly tlsCreds?: string;
  /** KVM tracks dirty pages in a ring. Absent: it does not. */
  readonly dirtyRing?: boolean;
  /** Why this host cannot be a postcopy destination. Absent: it can. */
  readonly postcopyUnsupported?: string;
  /** Why this host or this guest's memory cannot be snapshot in the background. Absent: they can. */
  readonly snapshotUnsupported?: 'kernel' | 'memory';
}

/** Excluded by background-snapshot, in the order in which QEMU names them. */
const NOT_WITH_SNAPSHOT: readonly CapabilityName[] = [
  'postcopy-ram',
  'dirty-bitmaps',
  'postcopy-blocktime',
  'late-block-activate',
  'return-path',
  'multifd',
  'pause-before-switchover',
  'auto-converge',
  'release-ram',
  'rdma-pin-all',
  'compress',
  'xbzrle',
  'x-colo',
  'validate-uuid',
  'zero-copy-send',
];

export const ZERO_COPY_REFUSAL = 'Zero copy only available for non-compressed non-TLS multifd migration';

/** What `block`, `blk` and `inc` answer: disks that travel inside the stream are gone (removed from QEMU in 9.1). */
export const NO_BLOCK_MIGRATION = 'QEMU compiled without old-style (blk/-b, inc/-i) block migration';

/** A rule answers with the sentence that refuses the set, or nothing. */
type Rule = (next: CapabilitySet, context: CapabilityContext) => string | undefined;

const sentenceIf = (refused: boolean, sentence: string): string | undefined => (refused ? sentence : undefined);
const conflict =
  (one: CapabilityName, other: CapabilityName, sentence: string): Rule =>
  (next) =>
    sentenceIf(next[one] && next[other], sentence);
const requirement =
  (one: CapabilityName, needed: CapabilityName, sentence: string): Rule =>
  (next) =>
    sentenceIf(next[one] && !next[needed], sentence);
/** Switching it on is too late once the destination listens; leaving it as it is never is. */
const beforeListening =
  (name: CapabilityName, sentence: string): Rule =>
  (next, { current, incoming }) =>
    sentenceIf(next[name] && !current[name] && incoming === 'started', sentence);

const postcopyOnThisHost: Rule = (next, { incoming, postcopyUnsupported }) =>
  next['postcopy-ram'] && incoming !== 'none' && postcopyUnsupported !== undefined
    ? `Postcopy is not supported: ${postcopyUnsupported}`
    : undefined;

const backgroundSnapshot: Rule = (next, { snapshotUnsupported }) => {
  if (!next['background-snapshot']) return undefined;
  if (snapshotUnsupported === 'kernel') return 'Background-snapshot is not supported by host kernel';
  if (snapshotUnsupported === 'memory') {
    return 'Background-snapshot is not compatible with guest memory configuration';
  }
  const other = NOT_WITH_SNAPSHOT.find((name) => next[name]);
  return other === undefined ? undefined : `Background-snapshot is not compatible with ${other}`;
};

const zeroCopy: Rule = (next, { multifdCompression = 'none', tlsCreds = '' }) =>
  sentenceIf(
    next['zero-copy-send'] &&
      (!next.multifd || next.xbzrle || next.compress || multifdCompression !== 'none' || tlsCreds !== ''),
    ZERO_COPY_REFUSAL,
  );

const dirtyLimit: Rule = (next, { dirtyRing = false }) => {
  if (!next['dirty-limit']) return undefined;
  if (next['auto-converge']) return 'dirty-limit conflicts with auto-converge either of then available currently';
  return sentenceIf(!dirtyRing, "dirty-limit requires KVM with accelerator property 'dirty-ring-size' set");
};

/** In the order in which QEMU tests them: the first sentence is the answer. */
const RULES: readonly Rule[] = [
  (next) => sentenceIf(next.block, NO_BLOCK_MIGRATION),
  postcopyOnThisHost,
  conflict('postcopy-ram', 'x-ignore-shared', 'Postcopy is not compatible with ignore-shared'),
  conflict('postcopy-ram', 'multifd', 'Postcopy is not yet compatible with multifd'),
  backgroundSnapshot,
  zeroCopy,
  requirement('postcopy-preempt', 'postcopy-ram', 'Postcopy preempt requires postcopy-ram'),
  conflict('postcopy-preempt', 'compress', 'Postcopy preempt not compatible with compress'),
  beforeListening('postcopy-preempt', 'Postcopy preempt must be set before incoming starts'),
  conflict('multifd', 'compress', 'Multifd is not compatible with compress'),
  beforeListening('multifd', 'Multifd must be set before incoming starts'),
  requirement('switchover-ack', 'return-path', "Capability 'switchover-ack' requires capability 'return-path'"),
  dirtyLimit,
  conflict('multifd', 'xbzrle', 'Multifd is not compatible with xbzrle'),
  conflict('compress', 'xbzrle', 'Compression is not compatible with xbzrle'),
  conflict('mapped-ram', 'xbzrle', 'Mapped-ram migration is incompatible with xbzrle'),
  conflict('mapped-ram', 'compress', 'Mapped-ram migration is incompatible with compression'),
  conflict('mapped-ram', 'postcopy-ram', 'Mapped-ram migration is incompatible with postcopy'),
];

/** The sentence that refuses a whole set, or `undefined` when the set is fine. */
export function checkCapabilities(next: CapabilitySet, context: CapabilityContext): string | undefined {
  for (const rule of RULES) {
    const sentence = rule(next, context);
    if (sentence !== undefined) return sentence;
  }
  return undefined;
}

export type CapabilityOutcome =
  { readonly ok: true; readonly capabilities: CapabilitySet } | { readonly ok: false; readonly sentence: string };

/**
 * A request laid over the set in force; the last of duplicates wins. Applied as a whole or not at all. That no migration
 * runs is the caller's check, and comes first.
 */
export function applyCapabilities(request: readonly CapabilityState[], context: CapabilityContext): CapabilityOutcome {
  const capabilities: Record<CapabilityName, boolean> = { ...context.current };
  for (const { capability, state } of request) capabilities[capability] = state;
  const sentence = checkCapabilities(capabilities, context);
  return sentence === undefined ? { ok: true, capabilities } : { ok: false, sentence };
}

/** The set as `query-migrate-capabilities` lists it: all of them, in enum order. */
export function listCapabilities(capabilities: CapabilitySet): CapabilityState[] {
  return CAPABILITY_NAMES.map((capability) => ({ state: capabilities[capability], capability }));
}

/**
 * The first capability that is on and has no mechanism yet, with the sentence by which `migrate` refuses; `undefined`
 * when the set can be honoured.
 */
export function missingMechanism(
  capabilities: CapabilitySet,
): { readonly capability: CapabilityName; readonly sentence: string } | undefined {
  const row = CAPABILITIES.find(({ name, mechanism }) => capabilities[name] && mechanism === 'missing');
  if (row === undefined) return undefined;
  return {
    capability: row.name,
    sentence: `Capability '${row.name}' is not supported by this version of Godwit: switch it off to migrate`,
  };
}
