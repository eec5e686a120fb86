// SPDX-License-Identifier: Apache-2.0
/** What must be right before a move starts. Pure: facts in, items out, in a stable order with stable ids. */
import type { PreflightItem } from '../../src-shared/contract.ts';
import {
  applyCapabilities,
  CAPABILITIES,
  DEFAULT_CAPABILITIES,
  type CapabilityName,
} from '../../src-shared/migration/capabilities.ts';
import type { MachineSettings, MachineView } from '../../src-shared/machine-view.ts';
import { applyParameters, DEFAULT_PARAMETERS } from '../../src-shared/migration/parameters.ts';
import type { MigrationSettings } from '../../src-shared/profile.ts';
import type { FileFacts } from './migrations/file-facts.ts';
import { fileItems } from './preflight-file.ts';
import type { DestinationRequest } from '../../src-shared/run.ts';
import { formatBytes } from '../../src-shared/sizes.ts';

export interface PreflightFacts {
  readonly machine: Pick<MachineView, 'settings' | 'state' | 'canMove'>;
  readonly destination: DestinationRequest;
  /** The receiver, where one was chosen; null when it is not on the list any more. */
  readonly receiver: Pick<MachineView, 'settings' | 'state'> | null;
  /** Of the file that it is saved to; null for other destinations. */
  readonly file: FileFacts | null;
  readonly settings: MigrationSettings;
  /** MemAvailable of this box, bytes; undefined where it is not known. */
  readonly memoryAvailableBytes: number | undefined;
}

type Group = PreflightItem['group'];

export function preflightItems(facts: PreflightFacts): PreflightItem[] {
  return [...guestItems(facts), ...settingsItems(facts.settings), ...destinationItems(facts)].sort(
    (a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity),
  );
}

const ORDER: readonly PreflightItem['severity'][] = ['blocker', 'risk', 'note', 'passed'];

function item(
  severity: PreflightItem['severity'],
  group: Group,
  id: string,
  title: string,
  detail: string,
): PreflightItem {
  return { id, group, severity, title, detail };
}

function guestItems({ machine }: PreflightFacts): PreflightItem[] {
  const { name } = machine.settings;
  const { verdict, reasons } = machine.canMove;
  if (verdict === 'moving') {
    return [
      item(
        'blocker',
        'guest',
        'guest-moving',
        `${name} is already being moved.`,
        'Open its run, or wait until it has ended.',
      ),
    ];
  }
  if (verdict !== 'yes') {
    return reasons.map((reason, index) =>
      item('blocker', 'guest', `guest-blocked-${index}`, `${name} cannot move now.`, reason),
    );
  }
  const stopped = machine.state === 'paused';
  return [
    item('passed', 'guest', 'guest-state', `${name} can move.`, 'Nothing blocks it.'),
    ...(stopped
      ? [
          item(
            'note',
            'guest',
            'guest-paused',
            `${name} is paused.`,
            'It stays paused at the destination until you resume it.',
          ),
        ]
      : []),
  ];
}

function settingsItems({ capabilities, parameters }: MigrationSettings): PreflightItem[] {
  const items: PreflightItem[] = [];
  const wanted = Object.entries(capabilities)
    .filter(([, on]) => on === true)
    .map(([name]) => name as CapabilityName);
  for (const name of wanted) {
    if (CAPABILITIES.find((row) => row.name === name)?.mechanism === 'missing') {
      items.push(
        item(
          'blocker',
          'settings',
          `capability-missing:${name}`,
          `This version of Godwit cannot do ${name}.`,
          `Switch ${name} off in the settings of this run.`,
        ),
      );
    }
  }
  const change = wanted.map((capability) => ({ capability, state: true }));
  const outcome = applyCapabilities(change, { current: DEFAULT_CAPABILITIES, incoming: 'none' });
  if (!outcome.ok)
    items.push(
      item('blocker', 'settings', 'capability-conflict', 'The settings exclude each other.', outcome.sentence),
    );
  const checked = applyParameters(DEFAULT_PARAMETERS, parameters);
  if (!checked.ok)
    items.push(item('blocker', 'settings', 'parameter-range', 'A setting is out of range.', checked.sentence));
  if (items.length === 0)
    items.push(item('passed', 'settings', 'settings', 'The settings fit together.', 'Both ends take them.'));
  if (parameters['downtime-limit'] !== undefined && Number(parameters['downtime-limit']) >= 1000) {
    const pause = `${Number(parameters['downtime-limit']) / 1000} s`;
    items.push(
      item(
        'risk',
        'settings',
        'long-pause',
        `The guest may be stopped for up to ${pause}.`,
        'Its clients may see time-outs in that time.',
      ),
    );
  }
  return items;
}

/** Both kinds of receivers on this box are reached so. */
const privateSocket = item(
  'passed',
  'transport',
  'transport',
  'The channel is a unix socket that only this user can open.',
  'It does not leave this box, so it needs no encryption.',
);

function destinationItems(facts: PreflightFacts): PreflightItem[] {
  const { destination } = facts;
  switch (destination.kind) {
    case 'new-process':
      return [
        item(
          'passed',
          'receiver',
          'receiver-new',
          'Godwit starts the receiver.',
          'With the same memory, vCPUs and CPU model, on this box.',
        ),
        privateSocket,
        memoryItem(facts),
      ];
    case 'waiting':
      return [...receiverItems(facts), privateSocket];
    case 'file':
      return facts.file === null
        ? []
        : fileItems(facts.file, facts.machine.settings.name, facts.machine.settings.memoryBytes);
  }
}

function memoryItem({ machine, memoryAvailableBytes }: PreflightFacts): PreflightItem {
  const needed = machine.settings.memoryBytes;
  if (memoryAvailableBytes === undefined) {
    return item(
      'note',
      'memory',
      'memory',
      'How much memory is free is not known.',
      `The receiver needs ${formatBytes(needed)}.`,
    );
  }
  if (memoryAvailableBytes < needed) {
    return item(
      'blocker',
      'memory',
      'memory',
      'The memory of this box does not suffice.',
      `The receiver needs ${formatBytes(needed)}; ${formatBytes(memoryAvailableBytes)} are free. Stop another machine first.`,
    );
  }
  return item(
    'passed',
    'memory',
    'memory',
    'There is memory for the receiver.',
    `It needs ${formatBytes(needed)}; ${formatBytes(memoryAvailableBytes)} are free.`,
  );
}

function receiverItems({ machine, receiver }: PreflightFacts): PreflightItem[] {
  if (receiver === null) {
    return [
      item(
        'blocker',
        'receiver',
        'receiver-gone',
        'The receiver is not on the list any more.',
        'Choose another destination.',
      ),
    ];
  }
  const { name } = receiver.settings;
  if (receiver.state !== 'waiting') {
    return [
      item(
        'blocker',
        'receiver',
        'receiver-state',
        `${name} does not wait for a guest.`,
        'Choose a machine in the state "waiting".',
      ),
    ];
  }
  const differs = differences(machine.settings, receiver.settings);
  if (differs.length === 0)
    return [
      item(
        'passed',
        'receiver',
        'receiver-state',
        `${name} waits for a guest.`,
        'It has the same memory, vCPUs and CPU model.',
      ),
    ];
  return differs.map(([id, title]) =>
    item('blocker', 'receiver', id, title, 'Create a receiver with the same settings.'),
  );
}

function differences(guest: MachineSettings, receiver: MachineSettings): [id: string, title: string][] {
  const found: [string, string][] = [];
  if (guest.memoryBytes !== receiver.memoryBytes) {
    found.push([
      'receiver-memory',
      `The receiver has ${formatBytes(receiver.memoryBytes)}, ${guest.name} has ${formatBytes(guest.memoryBytes)}.`,
    ]);
  }
  if (guest.cpus !== receiver.cpus) {
    found.push(['receiver-cpus', `The receiver has ${receiver.cpus} vCPUs, ${guest.name} has ${guest.cpus}.`]);
  }
  if (guest.cpuModel !== receiver.cpuModel) {
    found.push([
      'receiver-cpu-model',
      `The receiver has the CPU model ${receiver.cpuModel}, ${guest.name} has ${guest.cpuModel}.`,
    ]);
  }
  return found;
}
