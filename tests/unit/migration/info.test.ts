// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  DESTINATION_FACTS,
  fillInfo,
  overlayInfo,
  SOURCE_FACTS,
  type MigrationFacts,
  type MigrationStats,
} from '../../../src-shared/migration/info.ts';
import { MIGRATION_STATUSES, type MigrationStatus } from '../../../src-shared/migration/status.ts';

const ram: MigrationStats = {
  transferred: 1,
  remaining: 0,
  total: 2n ** 60n,
  duplicate: 0,
  skipped: 0,
  normal: 0,
  'normal-bytes': 0,
  'dirty-pages-rate': 0,
  mbps: 0.5,
  'dirty-sync-count': 2,
  'postcopy-requests': 0,
  'page-size': 4096,
  'multifd-bytes': 0,
  'pages-per-second': 0,
  'precopy-bytes': 0,
  'downtime-bytes': 0,
  'postcopy-bytes': 0,
  'dirty-sync-missed-zero-copy': 0,
};

const known: MigrationFacts = {
  'setup-time': 1,
  'total-time': 2,
  'expected-downtime': 3,
  downtime: 4,
  ram,
  'error-desc': 'because',
  'socket-address': [{ type: 'unix', path: '/s' }],
};

describe('query-migrate on a source', () => {
  it.each<[MigrationStatus, string[]]>([
    ['none', []],
    ['setup', ['status']],
    ['active', ['status', 'setup-time', 'total-time', 'expected-downtime', 'ram', 'error-desc']],
    ['cancelling', ['status', 'setup-time', 'total-time', 'expected-downtime', 'ram', 'error-desc']],
    ['pre-switchover', ['status', 'setup-time', 'total-time', 'expected-downtime', 'ram', 'error-desc']],
    ['device', ['status', 'setup-time', 'total-time', 'expected-downtime', 'ram', 'error-desc']],
    ['postcopy-active', ['status', 'setup-time', 'total-time', 'downtime', 'ram', 'error-desc']],
    ['postcopy-paused', ['status', 'setup-time', 'total-time', 'downtime', 'ram', 'error-desc']],
    ['postcopy-recover', ['status', 'setup-time', 'total-time', 'downtime', 'ram', 'error-desc']],
    ['completed', ['status', 'setup-time', 'total-time', 'downtime', 'ram']],
    ['failed', ['status', 'error-desc']],
    ['cancelled', ['status', 'error-desc']],
    ['colo', ['status']],
    ['wait-unplug', ['status']],
  ])('in %s shows %j', (status, fields) => {
    const info = fillInfo('source', status, known);
    expect(Object.keys(info).toSorted()).toEqual(fields.toSorted());
    if (status !== 'none') expect(info.status).toBe(status);
  });
});

describe('query-migrate on a destination', () => {
  it.each<[MigrationStatus, string[]]>([
    ['none', []],
    ['setup', ['status', 'socket-address']],
    ['active', ['status', 'socket-address']],
    ['postcopy-active', ['status', 'socket-address']],
    ['completed', ['status']],
    ['failed', ['status', 'error-desc']],
  ])('in %s shows %j', (status, fields) => {
    expect(Object.keys(fillInfo('destination', status, known)).toSorted()).toEqual(fields.toSorted());
  });
});

describe('query-migrate', () => {
  it('leaves out what is not known, and empty lists', () => {
    expect(fillInfo('source', 'active', { 'total-time': 5, 'error-desc': undefined })).toEqual({
      status: 'active',
      'total-time': 5,
    });
    expect(fillInfo('destination', 'setup', { 'socket-address': [] })).toEqual({ status: 'setup' });
  });

  it('shows blockers in every status, also when there is nothing else', () => {
    for (const status of MIGRATION_STATUSES) {
      expect(fillInfo('source', status, { 'blocked-reasons': ['x'] })['blocked-reasons']).toEqual(['x']);
    }
    expect(fillInfo('source', 'none', { 'blocked-reasons': ['x'] })).toEqual({ 'blocked-reasons': ['x'] });
    expect(fillInfo('source', 'none', { 'blocked-reasons': [] })).toEqual({});
  });

  it('shows extra figures only where they belong', () => {
    const facts: MigrationFacts = { ...known, 'cpu-throttle-percentage': 20, 'postcopy-blocktime': 7 };
    expect(fillInfo('source', 'active', facts)).toHaveProperty('cpu-throttle-percentage', 20);
    expect(fillInfo('source', 'completed', facts)).not.toHaveProperty('cpu-throttle-percentage');
    expect(fillInfo('destination', 'completed', facts)).toEqual({ status: 'completed', 'postcopy-blocktime': 7 });
  });

  it('of a destination that became a source shows the source', () => {
    const was = fillInfo('destination', 'completed', { 'postcopy-blocktime': 7 });
    expect(overlayInfo(was, {})).toEqual(was);
    expect(overlayInfo(was, fillInfo('source', 'setup', {}))).toEqual({ status: 'setup', 'postcopy-blocktime': 7 });
  });

  it('has a row for every status on both sides', () => {
    expect(Object.keys(SOURCE_FACTS).toSorted()).toEqual(MIGRATION_STATUSES.toSorted());
    expect(Object.keys(DESTINATION_FACTS).toSorted()).toEqual(MIGRATION_STATUSES.toSorted());
  });
});
