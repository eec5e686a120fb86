// SPDX-License-Identifier: Apache-2.0
/** COLO and announcements: what a machine without replication and without network cards answers. */
import { array, int, object, optional, str } from '../../../control/arguments.ts';
import { defineCommand, type CommandTable } from '../../../control/command.ts';
import { Refusal } from '../refusal.ts';
import { action, nothing } from './targets.ts';

export function replicationCommands(): CommandTable {
  return {
    'x-colo-lost-heartbeat': action(() => {
      throw new Refusal('VM is not in COLO mode');
    }),
    'query-colo-status': defineCommand({
      arguments: nothing,
      handler: () => ({ mode: 'none', 'last-mode': 'none', reason: 'none' }),
    }),
    // No machine of ours has a network card yet, so there is no address to announce.
    'announce-self': defineCommand({
      arguments: object({
        initial: int(),
        max: int(),
        rounds: int(),
        step: int(),
        interfaces: optional(array(str())),
        id: optional(str()),
      }),
      handler: () => undefined,
    }),
  };
}
