// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  applyCapabilities,
  CAPABILITIES,
  CAPABILITY_NAMES,
  checkCapabilities,
  DEFAULT_CAPABILITIES,
  listCapabilities,
  missingMechanism,
  type CapabilityContext,
  type CapabilityName,
  type CapabilitySet,
} from '../../../src-shared/migration/capabilities.ts';

const on = (...names: CapabilityName[]): CapabilitySet => ({
  ...DEFAULT_CAPABILITIES,
  ...Object.fromEntries(names.map((name) => [name, true])),
});
const idle: CapabilityContext = { current: DEFAULT_CAPABILITIES, incoming: 'none' };

describe('the capability table', () => {
  it('has the order of 9.0, all off', () => {
    expect(CAPABILITY_NAMES).toHaveLength(24);
    expect(CAPABILITY_NAMES.slice(0, 6)).toEqual([
      'xbzrle',
      'rdma-pin-all',
      'auto-converge',
      'zero-blocks',
      'compress',
      'events',
    ]);
    expect(CAPABILITY_NAMES.slice(-4)).toEqual(['postcopy-preempt', 'switchover-ack', 'dirty-limit', 'mapped-ram']);
    expect(listCapabilities(DEFAULT_CAPABILITIES)).toEqual(
      CAPABILITY_NAMES.map((capability) => ({ capability, state: false })),
    );
  });

  it('names the first capability that is on without a mechanism', () => {
    expect(missingMechanism(on('events', 'return-path', 'zero-blocks'))).toBeUndefined();
    expect(missingMechanism(on('events', 'multifd', 'postcopy-ram'))).toEqual({
      capability: 'postcopy-ram',
      sentence: "Capability 'postcopy-ram' is not supported by this version of Godwit: switch it off to migrate",
    });
    for (const { name, mechanism } of CAPABILITIES) {
      expect(missingMechanism(on(name))?.capability).toBe(mechanism === 'missing' ? name : undefined);
    }
  });
});

describe('the rules of a capability set', () => {
  it.each<[CapabilityName[], string]>([
    [['postcopy-ram', 'x-ignore-shared'], 'Postcopy is not compatible with ignore-shared'],
    [['postcopy-ram', 'multifd'], 'Postcopy is not yet compatible with multifd'],
    [['background-snapshot', 'postcopy-ram'], 'Background-snapshot is not compatible with postcopy-ram'],
    [['background-snapshot', 'xbzrle', 'multifd'], 'Background-snapshot is not compatible with multifd'],
    [['background-snapshot', 'return-path'], 'Background-snapshot is not compatible with return-path'],
    [['background-snapshot', 'validate-uuid'], 'Background-snapshot is not compatible with validate-uuid'],
    [['zero-copy-send'], 'Zero copy only available for non-compressed non-TLS multifd migration'],
    [['zero-copy-send', 'multifd', 'xbzrle'], 'Zero copy only available for non-compressed non-TLS multifd migration'],
    [
      ['zero-copy-send', 'multifd', 'compress'],
      'Zero copy only available for non-compressed non-TLS multifd migration',
    ],
    [['postcopy-preempt'], 'Postcopy preempt requires postcopy-ram'],
    [['postcopy-preempt', 'postcopy-ram', 'compress'], 'Postcopy preempt not compatible with compress'],
    [['multifd', 'compress'], 'Multifd is not compatible with compress'],
    [['switchover-ack'], "Capability 'switchover-ack' requires capability 'return-path'"],
    [['dirty-limit', 'auto-converge'], 'dirty-limit conflicts with auto-converge either of then available currently'],
    [['dirty-limit'], "dirty-limit requires KVM with accelerator property 'dirty-ring-size' set"],
    [['multifd', 'xbzrle'], 'Multifd is not compatible with xbzrle'],
    [['compress', 'xbzrle'], 'Compression is not compatible with xbzrle'],
    [['mapped-ram', 'xbzrle'], 'Mapped-ram migration is incompatible with xbzrle'],
    [['mapped-ram', 'compress'], 'Mapped-ram migration is incompatible with compression'],
    [['mapped-ram', 'postcopy-ram'], 'Mapped-ram migration is incompatible with postcopy'],
  ])('refuse %j', (names, sentence) => {
    expect(checkCapabilities(on(...names), idle)).toBe(sentence);
  });

  it.each<[CapabilityName[]]>([
    [[]],
    [['events', 'return-path']],
    [['postcopy-ram', 'postcopy-preempt', 'xbzrle']],
    [['multifd', 'zero-copy-send']],
    [['switchover-ack', 'return-path']],
    [['background-snapshot', 'events', 'zero-blocks', 'x-ignore-shared', 'mapped-ram']],
    [['mapped-ram', 'multifd']],
  ])('accept %j', (names) => {
    expect(checkCapabilities(on(...names), idle)).toBeUndefined();
  });

  it('accept every capability that needs no other', () => {
    const dependent: CapabilityName[] = ['zero-copy-send', 'postcopy-preempt', 'switchover-ack', 'dirty-limit'];
    for (const name of CAPABILITY_NAMES) {
      if (name === 'block' || dependent.includes(name)) continue;
      expect(checkCapabilities(on(name), idle), name).toBeUndefined();
    }
  });

  it('refuse block migration, which is not built', () => {
    expect(checkCapabilities(on('block'), idle)).toBe(
      'QEMU compiled without old-style (blk/-b, inc/-i) block migration',
    );
  });

  it('ask the host and the parameters', () => {
    expect(checkCapabilities(on('dirty-limit'), { ...idle, dirtyRing: true })).toBeUndefined();
    expect(
      checkCapabilities(on('postcopy-ram'), { ...idle, incoming: 'waiting', postcopyUnsupported: 'no userfaultfd' }),
    ).toBe('Postcopy is not supported: no userfaultfd');
    expect(checkCapabilities(on('postcopy-ram'), { ...idle, postcopyUnsupported: 'x' })).toBeUndefined();
    expect(checkCapabilities(on('background-snapshot'), { ...idle, snapshotUnsupported: 'kernel' })).toBe(
      'Background-snapshot is not supported by host kernel',
    );
    expect(checkCapabilities(on('background-snapshot'), { ...idle, snapshotUnsupported: 'memory' })).toBe(
      'Background-snapshot is not compatible with guest memory configuration',
    );
    const zeroCopy = on('multifd', 'zero-copy-send');
    expect(checkCapabilities(zeroCopy, { ...idle, multifdCompression: 'zstd' })).toContain('Zero copy only');
    expect(checkCapabilities(zeroCopy, { ...idle, tlsCreds: 'tls0' })).toContain('Zero copy only');
  });

  it('let a destination that listens keep its channels, but not get new ones', () => {
    const started: CapabilityContext = { ...idle, incoming: 'started' };
    expect(checkCapabilities(on('multifd'), started)).toBe('Multifd must be set before incoming starts');
    expect(checkCapabilities(on('postcopy-ram', 'postcopy-preempt'), started)).toBe(
      'Postcopy preempt must be set before incoming starts',
    );
    expect(checkCapabilities(on('multifd'), { ...started, current: on('multifd') })).toBeUndefined();
    expect(checkCapabilities(on('multifd'), { ...idle, incoming: 'waiting' })).toBeUndefined();
  });
});

describe('a change of capabilities', () => {
  it('is taken as a whole, the last of duplicates winning', () => {
    const request = [
      { capability: 'events', state: true },
      { capability: 'xbzrle', state: true },
      { capability: 'xbzrle', state: false },
    ] as const;
    expect(applyCapabilities(request, { ...idle, current: on('return-path') })).toEqual({
      ok: true,
      capabilities: on('events', 'return-path'),
    });
  });

  it('is refused as a whole, and leaves the set in force alone', () => {
    const current = on('postcopy-ram', 'postcopy-preempt');
    const request = [
      { capability: 'events', state: true },
      { capability: 'postcopy-ram', state: false },
    ] as const;
    expect(applyCapabilities(request, { ...idle, current })).toEqual({
      ok: false,
      sentence: 'Postcopy preempt requires postcopy-ram',
    });
    expect(current).toEqual(on('postcopy-ram', 'postcopy-preempt'));
  });
});
