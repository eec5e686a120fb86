// SPDX-License-Identifier: Apache-2.0
/** What the modes other than `normal` exclude (qmp-migration.md 2.1). */
import type { CapabilitySet } from './capabilities.ts';
import type { MigrationMode } from './parameters.ts';

const NOT_WITH_CPR = [
  ['postcopy-ram', 'Cannot use postcopy with CPR'],
  ['background-snapshot', 'Cannot use background snapshot with CPR'],
  ['x-colo', 'Cannot use COLO with CPR'],
] as const;

/** The sentence by which `migrate` refuses a capability in this mode, or `undefined`. */
export function modeConflict(mode: MigrationMode, capabilities: CapabilitySet): string | undefined {
  if (mode === 'normal') return undefined;
  return NOT_WITH_CPR.find(([name]) => capabilities[name])?.[1];
}
