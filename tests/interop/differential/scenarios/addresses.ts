// SPDX-License-Identifier: Apache-2.0
/** Addresses that cannot be, or where nobody is, on a source and on a destination (qmp-migration.md 3). */
import { ask, awaitStatus, type Scenario } from '../scenario.ts';

const BAD = [
  '',
  'foo',
  'TCP:127.0.0.1:1',
  'tcp:',
  'tcp:127.0.0.1',
  'tcp:[::1',
  'unix:',
  'vsock:',
  'vsock:5',
  'fd:',
  'fd:nosuch',
];

const bad: Scenario[] = BAD.flatMap((uri) => [
  {
    name: `migrate to ${JSON.stringify(uri)}`,
    ends: 'shared' as const,
    steps: [ask('source', 'migrate', { uri }), ask('source', 'query-status')],
  },
  {
    name: `migrate-incoming at ${JSON.stringify(uri)}`,
    ends: 'shared' as const,
    steps: [
      ask('destination', 'migrate-incoming', { uri }),
      ask('destination', 'query-migrate'),
      ask('destination', 'query-status'),
    ],
  },
]);

const nobody: Scenario[] = ['tcp:127.0.0.1:1', 'unix:{folder}/nobody.sock', 'tcp:127.0.0.1:x'].map((uri) => ({
  name: `migrate to ${uri}, where nobody listens`,
  ends: ['source'],
  steps: [
    ask('source', 'migrate', { uri }),
    awaitStatus('source', 'failed'),
    ask('source', 'query-migrate'),
    ask('source', 'query-status'),
  ],
}));

const listening: Scenario[] = [
  {
    name: 'a destination says where it listens',
    ends: ['destination'],
    steps: [ask('destination', 'migrate-incoming', { uri: '{uri}' }), ask('destination', 'query-migrate')],
  },
];

export const addressScenarios: readonly Scenario[] = [...bad, ...nobody, ...listening];
