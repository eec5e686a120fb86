// SPDX-License-Identifier: Apache-2.0
/** Every capability by itself, every forbidden pair, and the form of the request (qmp-migration.md 4). */
import { CAPABILITY_NAMES } from '../../../../src-shared/migration/capabilities.ts';
import { ask, capabilities, type EndName, type Scenario, type Step } from '../scenario.ts';

const allOff = (end: EndName, names: readonly string[]): Step =>
  capabilities(end, Object.fromEntries([...names].reverse().map((name) => [name, false])));
const query = (end: EndName, name: string): Step => ask(end, 'query-migrate-capabilities', undefined, name);

/** In 7.2 already; the others are asked for as well, and the version tables say what comes of it. */
const single: Scenario[] = CAPABILITY_NAMES.flatMap((name) =>
  (['source', 'destination'] as const).map((end) => ({
    name: `capability ${name} on a ${end}`,
    ends: 'shared' as const,
    steps: [
      query(end, name),
      capabilities(end, { [name]: true }),
      query(end, name),
      capabilities(end, { [name]: true }),
      capabilities(end, { [name]: false }),
      query(end, name),
    ],
  })),
);

const PAIRS = [
  ['postcopy-ram', 'x-ignore-shared'],
  ['postcopy-ram', 'multifd'],
  ['background-snapshot', 'postcopy-ram'],
  ['background-snapshot', 'dirty-bitmaps'],
  ['background-snapshot', 'postcopy-blocktime'],
  ['background-snapshot', 'late-block-activate'],
  ['background-snapshot', 'return-path'],
  ['background-snapshot', 'multifd'],
  ['background-snapshot', 'pause-before-switchover'],
  ['background-snapshot', 'auto-converge'],
  ['background-snapshot', 'release-ram'],
  ['background-snapshot', 'rdma-pin-all'],
  ['background-snapshot', 'compress'],
  ['background-snapshot', 'xbzrle'],
  ['background-snapshot', 'x-colo'],
  ['background-snapshot', 'validate-uuid'],
  ['background-snapshot', 'zero-copy-send'],
  ['zero-copy-send', 'multifd'],
  ['zero-copy-send', 'xbzrle'],
  ['zero-copy-send', 'compress'],
  ['postcopy-preempt', 'postcopy-ram'],
  ['postcopy-preempt', 'compress'],
  ['multifd', 'compress'],
  ['multifd', 'xbzrle'],
  ['compress', 'xbzrle'],
  ['events', 'return-path'],
] as const;

const pairs: Scenario[] = PAIRS.map(([one, other]) => ({
  name: `capabilities ${one} and ${other}`,
  ends: 'shared',
  steps: [
    capabilities('source', { [one]: true, [other]: true }),
    query('source', one),
    query('source', other),
    allOff('source', [one, other]),
    capabilities('source', { [one]: true }),
    capabilities('source', { [other]: true }),
    query('source', other),
    // The one that may be needed goes first: refused while the other one needs it.
    capabilities('source', { [other]: false }),
    query('source', one),
    allOff('source', [one, other]),
    capabilities('source', { [other]: false }),
    capabilities('source', { [one]: false }),
  ],
}));

const set = (list: unknown): Step => ask('source', 'migrate-set-capabilities', { capabilities: list });

const form: Scenario[] = [
  {
    name: 'the form of migrate-set-capabilities',
    ends: 'shared',
    steps: [
      set([]),
      set([
        { capability: 'events', state: true },
        { capability: 'events', state: false },
      ]),
      query('source', 'events'),
      set([{ capability: 'nope', state: true }]),
      set([
        { capability: 'events', state: true },
        { capability: 'nope', state: true },
      ]),
      query('source', 'events'),
      set([{ capability: 'events' }]),
      set([{ state: true }]),
      set([{ capability: 'events', state: 1 }]),
      set([{ capability: 7, state: true }]),
      set([{ capability: 'events', state: true, more: 1 }]),
      set({}),
      set(['events']),
      ask('source', 'migrate-set-capabilities'),
      ask('source', 'migrate-set-capabilities', { capabilities: [], more: 1 }),
    ],
  },
];

export const capabilityScenarios: readonly Scenario[] = [...single, ...pairs, ...form];
