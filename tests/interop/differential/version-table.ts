// SPDX-License-Identifier: Apache-2.0
/** What the version tables of the reference say: Godwit has the shape of 8.2/9.0, the peer here is 7.2. */
import type { ExplainedDifference } from './differences.ts';

const ANY = /./;

/** A reply that one release gives and another refuses, and what is asked afterwards. */
const OUTCOME = /^steps\[\d+\]\.(return|error)/;

export const VERSION_TABLE: readonly ExplainedDifference[] = [
  { scenario: ANY, path: /^steps\[\d+\]\.return\.singlestep$/, because: '14: query-status.singlestep is gone' },

  // Capabilities and parameters that 7.2 does not have.
  { scenario: /^capability switchover-ack on a /, path: OUTCOME, because: '4: from 8.1 on' },
  { scenario: /^capability dirty-limit on a /, path: OUTCOME, because: '4: from 8.1 on' },
  { scenario: /^capability mapped-ram on a /, path: OUTCOME, because: '4: from 9.0 on' },
  { scenario: 'parameter avail-switchover-bandwidth', path: OUTCOME, because: '5: from 8.2 on' },
  { scenario: 'parameter x-vcpu-dirty-limit-period', path: OUTCOME, because: '5: from 8.1 on' },
  { scenario: 'parameter vcpu-dirty-limit', path: OUTCOME, because: '5: from 8.1 on' },
  { scenario: 'parameter mode', path: OUTCOME, because: '5: from 8.2 on' },
  { scenario: 'parameter zero-page-detection', path: OUTCOME, because: '5: from 9.0 on' },
  { scenario: 'parameter multifd-zlib-level', path: OUTCOME, because: '5: 7.2 neither checks nor stores it' },
  { scenario: 'parameter multifd-zstd-level', path: OUTCOME, because: '5: 7.2 neither checks nor stores it' },

  // Sets that 7.2 accepts.
  { scenario: 'capabilities postcopy-ram and multifd', path: OUTCOME, because: '4: refused from 8.1 on' },
  { scenario: 'capabilities multifd and xbzrle', path: OUTCOME, because: '4: refused from 8.1 on' },
  { scenario: 'capabilities compress and xbzrle', path: OUTCOME, because: '4: refused from 8.1 on' },
  {
    scenario: 'commands on a destination that listens',
    path: /^steps\[4[56]\]\./,
    because: '4: multifd and postcopy-preempt must be set before listening, from 8.1 on',
  },

  // Sentences that changed.
  {
    scenario: /^commands /,
    path: /\.error\.desc$/,
    qemu: 'migrate-pause is currently only supported during postcopy-active state',
    godwit: 'migrate-pause is currently only supported during postcopy-active or postcopy-recover state',
    because: '2.3: from 8.2 on',
  },
  {
    scenario: /^commands /,
    path: /\.error\.desc$/,
    qemu: "The feature 'colo' is not enabled",
    godwit: 'VM is not in COLO mode',
    because: '2.3: the sentence of later releases',
  },
  {
    scenario: /^commands /,
    path: /\.error\.desc$/,
    qemu: 'calc-time is out of range[1, 60].',
    godwit: 'Calculation time is out of range [50ms, 60000ms].',
    because: '12: calc-time-unit is of 8.2',
  },
  {
    scenario: /^migrate to "(|foo|TCP:127\.0\.0\.1:1)"$/,
    path: 'steps[0].error.desc',
    because: '2.1: unknown migration protocol',
  },
  { scenario: /^migrate(-incoming at| to) "fd:"$/, path: 'steps[0].error.desc', because: '3: fd: without a name' },
  {
    scenario: 'migrate-incoming that failed may be called again',
    path: 'steps[3].error.desc',
    because: '2: uri became optional',
  },

  // The destination's status `setup`.
  {
    scenario: /^(migrate-incoming |a destination says|a guest moves without events|a waiting destination)/,
    path: 'events.destination',
    because: '6, 14: MIGRATION setup is sent with events off',
  },
  {
    scenario: /^(a destination says where it listens|commands on a destination that listens)$/,
    path: /^steps\[\d+\]\.return\.status$/,
    because: '7, 14: a listening destination has a status',
  },
];
