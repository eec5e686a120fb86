// SPDX-License-Identifier: Apache-2.0
/** Whole migrations, and how they end (qmp-migration.md 6, 10, 13). */
import { ask, awaitStatus, capabilities, parameters, type EndName, type Scenario, type Step } from '../scenario.ts';

const both: readonly EndName[] = ['source', 'destination'];
const SLOW = { 'max-bandwidth': 4000 };
const on = (...names: readonly string[]): Step[] =>
  both.map((end) => capabilities(end, Object.fromEntries(['events', ...names].map((name) => [name, true]))));
const listen = ask('destination', 'migrate-incoming', { uri: '{uri}' });
const go = ask('source', 'migrate', { uri: '{uri}' });
const running = ask('source', 'cont');
/** Memory of a running guest is on its way, and will be for long. */
const copying = (...names: readonly string[]): Step[] => [
  running,
  parameters('source', SLOW),
  ...on(...names),
  listen,
  go,
  // Both: what an end has not noticed yet is not told when the other one is ended.
  awaitStatus('source', 'active'),
  awaitStatus('destination', 'active'),
];
const ends: Step[] = [
  awaitStatus('source', 'completed'),
  awaitStatus('destination', 'completed'),
  ask('source', 'query-status'),
  ask('destination', 'query-status'),
  ask('source', 'query-migrate'),
  ask('destination', 'query-migrate'),
];

const completes = (name: string, before: readonly Step[], caps: readonly string[] = []): Scenario => ({
  name,
  ends: both,
  steps: [...before, ...on(...caps), listen, go, ...ends],
});

export const flowScenarios: readonly Scenario[] = [
  completes('a stopped guest moves', []),
  completes('a running guest moves to a machine that starts nothing by itself', [running]),
  completes('a running guest moves to a machine that was told to run it', [running, ask('destination', 'cont')]),
  completes('a paused guest stays paused', [running, ask('source', 'stop'), ask('destination', 'cont')]),
  completes('a guest moves with a return path', [running, ask('destination', 'cont')], ['return-path']),
  completes('a guest moves with release-ram', [running], ['release-ram', 'return-path']),
  completes('a guest moves with x-ignore-shared and no shared memory', [running], ['x-ignore-shared']),
  completes('a guest moves with validate-uuid and no UUID', [running], ['validate-uuid']),
  completes(
    'a guest moves with late-block-activate, dirty-bitmaps and zero-blocks',
    [running],
    ['late-block-activate', 'dirty-bitmaps', 'zero-blocks'],
  ),
  {
    name: 'a guest moves without events',
    ends: both,
    steps: [running, listen, go, ...ends],
  },
  {
    name: 'x-ignore-shared on the source only is refused by the destination',
    ends: both,
    mayPass: 'active',
    steps: [
      running,
      capabilities('source', { events: true, 'x-ignore-shared': true, 'return-path': true }),
      capabilities('destination', { events: true }),
      parameters('source', SLOW),
      listen,
      go,
      awaitStatus('source', 'failed'),
      ask('source', 'query-status'),
      { do: 'await-exit', end: 'destination' },
    ],
  },
  {
    name: 'x-ignore-shared on the destination only is refused by the destination',
    ends: both,
    mayPass: 'active',
    steps: [
      running,
      capabilities('source', { events: true, 'return-path': true }),
      capabilities('destination', { events: true, 'x-ignore-shared': true }),
      parameters('source', SLOW),
      listen,
      go,
      awaitStatus('source', 'failed'),
      ask('source', 'query-status'),
      { do: 'await-exit', end: 'destination' },
    ],
  },
  {
    name: 'the hold before the switchover is cancelled',
    ends: both,
    mayPass: 'device',
    steps: [
      running,
      ...on('pause-before-switchover'),
      listen,
      go,
      awaitStatus('source', 'pre-switchover'),
      ask('source', 'query-status'),
      ask('source', 'migrate_cancel'),
      awaitStatus('source', 'cancelled'),
      ask('source', 'query-status'),
      { do: 'await-exit', end: 'destination' },
    ],
  },
  {
    name: 'the hold before the switchover goes on',
    ends: both,
    steps: [
      running,
      ...on('pause-before-switchover', 'return-path'),
      listen,
      go,
      awaitStatus('source', 'pre-switchover'),
      ask('source', 'query-migrate'),
      ask('destination', 'query-migrate'),
      ask('source', 'migrate-continue', { state: 'pre-switchover' }),
      ...ends,
    ],
  },
  {
    name: 'a copy is cancelled',
    ends: both,
    steps: [
      ...copying(),
      ask('source', 'migrate_cancel'),
      ask('source', 'migrate_cancel'),
      awaitStatus('source', 'cancelled'),
      ask('source', 'query-status'),
      ask('source', 'query-migrate'),
      { do: 'await-exit', end: 'destination' },
    ],
  },
  {
    name: 'a copy is cancelled with a return path',
    ends: both,
    steps: [
      ...copying('return-path'),
      ask('source', 'migrate_cancel'),
      awaitStatus('source', 'cancelled'),
      ask('source', 'query-status'),
      { do: 'await-exit', end: 'destination' },
    ],
  },
  {
    name: 'the destination dies while memory is copied',
    ends: both,
    steps: [
      ...copying(),
      { do: 'kill', end: 'destination' },
      awaitStatus('source', 'failed'),
      ask('source', 'query-status'),
    ],
  },
  {
    name: 'the source dies while memory is copied',
    ends: both,
    steps: [...copying(), { do: 'kill', end: 'source' }, { do: 'await-exit', end: 'destination' }],
  },
  {
    name: 'the source is told to quit while memory is copied',
    ends: both,
    steps: [
      ...copying(),
      ask('source', 'quit'),
      { do: 'await-exit', end: 'source' },
      { do: 'await-exit', end: 'destination' },
    ],
  },
  {
    name: 'an idle machine is told to quit',
    ends: ['source'],
    steps: [ask('source', 'quit'), { do: 'await-exit', end: 'source' }],
  },
  {
    name: 'a waiting destination is told to quit',
    ends: ['destination'],
    steps: [listen, ask('destination', 'quit'), { do: 'await-exit', end: 'destination' }],
  },
  {
    name: 'a migration is yanked at the source',
    ends: both,
    steps: [
      ...copying(),
      ask('source', 'query-yank'),
      ask('destination', 'query-yank'),
      ask('source', 'yank', { instances: [{ type: 'migration' }, { type: 'chardev', id: 'nope' }] }),
      ask('source', 'yank', { instances: [{ type: 'migration' }] }),
      awaitStatus('source', 'failed'),
      ask('source', 'query-status'),
      ask('source', 'query-yank'),
      ask('source', 'yank', { instances: [{ type: 'migration' }] }),
      { do: 'await-exit', end: 'destination' },
    ],
  },
  {
    name: 'a migration is yanked at the destination',
    ends: both,
    steps: [
      running,
      parameters('source', SLOW),
      ...on(),
      listen,
      go,
      awaitStatus('destination', 'active'),
      ask('destination', 'yank', { instances: [{ type: 'migration' }] }),
      { do: 'await-exit', end: 'destination' },
      awaitStatus('source', 'failed'),
      ask('source', 'query-status'),
    ],
  },
  {
    name: 'a peer that closes the connection at once',
    ends: ['source'],
    peer: 'closing',
    steps: [
      running,
      parameters('source', SLOW),
      capabilities('source', { events: true }),
      ask('source', 'migrate', { uri: '{peer}' }),
      awaitStatus('source', 'failed'),
      ask('source', 'query-status'),
    ],
  },
  {
    name: 'a failed attempt is followed by another one that succeeds',
    ends: both,
    steps: [
      running,
      ...on(),
      ask('source', 'migrate', { uri: 'unix:{folder}/nobody.sock' }),
      awaitStatus('source', 'failed'),
      ask('source', 'query-migrate'),
      listen,
      go,
      ...ends,
    ],
  },
  {
    name: 'a guest that has left is run again at the source by hand, and may move once more',
    ends: both,
    steps: [
      running,
      ...on(),
      listen,
      go,
      ...ends,
      { do: 'kill', end: 'destination' },
      ask('source', 'cont'),
      ask('source', 'query-status'),
      ask('source', 'query-migrate'),
      ask('source', 'migrate', { uri: 'unix:{folder}/nobody.sock' }),
      awaitStatus('source', 'failed'),
      ask('source', 'query-status'),
    ],
  },
  {
    name: 'migrate-incoming that failed may be called again',
    ends: both,
    steps: [
      ask('destination', 'migrate-incoming', { uri: 'unix:{folder}/no/such/folder/m.sock' }),
      ask('destination', 'query-status'),
      ask('destination', 'migrate-incoming', { uri: 'nonsense' }),
      ask('destination', 'migrate-incoming'),
      listen,
      ask('destination', 'query-yank'),
      go,
      awaitStatus('source', 'completed'),
      awaitStatus('destination', 'completed'),
      ask('destination', 'query-yank'),
    ],
  },
];
