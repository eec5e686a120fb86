// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  isEndStatus,
  isMigrationStatus,
  isPostcopyStatus,
  isRunningStatus,
  isRunState,
  MIGRATION_STATUSES,
  RUN_STATES,
  type MigrationSide,
  type MigrationStatus,
} from '../../../src-shared/migration/status.ts';
import { canObserve, canTransition, transitionsOf } from '../../../src-shared/migration/transitions.ts';

const sides: readonly MigrationSide[] = ['source', 'destination'];

function reachable(side: MigrationSide, allowed: typeof canTransition): Set<MigrationStatus> {
  const seen = new Set<MigrationStatus>(['none']);
  for (const from of seen) for (const to of MIGRATION_STATUSES) if (allowed(side, from, to)) seen.add(to);
  return seen;
}

describe.each(sides)('transitions of the %s', (side) => {
  const table = transitionsOf(side);

  it('have a cause each, and occur once', () => {
    expect(new Set(table.map(({ from, to }) => `${from} ${to}`)).size).toBe(table.length);
    for (const { cause } of table) expect(cause).not.toBe('');
  });

  it('reach every status that the table names', () => {
    const own = table.filter(({ stockOnly }) => stockOnly === undefined);
    const named = new Set<MigrationStatus>(['none', ...own.flatMap(({ from, to }) => [from, to])]);
    expect(reachable(side, canTransition)).toEqual(named);
    expect(reachable(side, canObserve)).toEqual(new Set(table.flatMap(({ from, to }) => [from, to])));
  });

  it('lead from every status to an end', () => {
    for (const start of reachable(side, canTransition)) {
      const seen = new Set([start]);
      for (const from of seen) for (const to of MIGRATION_STATUSES) if (canTransition(side, from, to)) seen.add(to);
      expect([...seen].some(isEndStatus), start).toBe(true);
    }
  });

  it('never repeat a status or return to none, and leave an end only by another start', () => {
    for (const { from, to } of table) {
      expect(to).not.toBe(from);
      expect(to).not.toBe('none');
      if (isEndStatus(from)) expect(to).toBe('setup');
    }
  });

  it('are all observable', () => {
    for (const { from, to } of table) expect(canObserve(side, from, to)).toBe(true);
  });
});

describe('transitions', () => {
  it.each<[MigrationSide, readonly MigrationStatus[]]>([
    [
      'source',
      ['none', 'setup', 'active', 'completed', 'setup', 'failed', 'setup', 'cancelling', 'cancelled', 'setup'],
    ],
    ['source', ['none', 'setup', 'active', 'pre-switchover', 'device', 'completed']],
    ['source', ['none', 'setup', 'wait-unplug', 'active', 'cancelling', 'cancelled']],
    ['source', ['active', 'postcopy-active', 'postcopy-paused', 'postcopy-recover', 'postcopy-active', 'completed']],
    ['destination', ['none', 'setup', 'active', 'completed']],
    ['destination', ['setup', 'active', 'postcopy-active', 'postcopy-paused', 'postcopy-recover', 'postcopy-active']],
    ['destination', ['none', 'setup', 'active', 'failed']],
  ])('of the %s allow %j', (side, path) => {
    for (const [index, to] of path.slice(1).entries()) {
      expect(canTransition(side, path[index] ?? 'none', to), `${path[index]} to ${to}`).toBe(true);
    }
  });

  it('never cancel a postcopy of ours, although a stock QEMU may', () => {
    const postcopy = MIGRATION_STATUSES.filter(isPostcopyStatus);
    expect(postcopy).toHaveLength(4);
    for (const status of postcopy) expect(canTransition('source', status, 'cancelling')).toBe(false);
    expect(canObserve('source', 'postcopy-active', 'cancelling')).toBe(true);
  });

  it('never undo a completed migration', () => {
    for (const side of sides) {
      expect(canTransition(side, 'completed', 'failed')).toBe(false);
      expect(canTransition(side, 'completed', 'cancelling')).toBe(false);
    }
  });

  it('let a destination never cancel', () => {
    expect(reachable('destination', canObserve).has('cancelling')).toBe(false);
  });
});

describe('statuses', () => {
  it('block a second migration while one is under way, but not for colo or after an end', () => {
    expect(MIGRATION_STATUSES.filter((status) => !isRunningStatus(status))).toEqual([
      'none',
      'cancelled',
      'completed',
      'failed',
      'colo',
    ]);
  });

  it('are recognised by name', () => {
    expect(MIGRATION_STATUSES.every(isMigrationStatus)).toBe(true);
    expect(RUN_STATES.every(isRunState)).toBe(true);
    expect(isMigrationStatus('running')).toBe(false);
    expect(isRunState('active')).toBe(false);
  });
});
