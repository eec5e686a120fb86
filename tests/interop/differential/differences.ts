// SPDX-License-Identifier: Apache-2.0
/** Where Godwit says something else than QEMU 7.2, each with the section that justifies it. */
import type { Difference } from './compare.ts';
import { VERSION_TABLE } from './version-table.ts';

export interface ExplainedDifference {
  /** Names of scenarios. */
  readonly scenario: string | RegExp;
  /** Of the reply, as in `steps[3].error.desc`; `events.source` for a sequence of events. */
  readonly path: string | RegExp;
  /** What each says, where more than one thing could differ there. */
  readonly qemu?: string;
  readonly godwit?: string;
  /** Section of qmp-migration.md, and why. */
  readonly because: string;
}

/** What no version table says: deliberate, with exact names and paths. */
export const DELIBERATE: readonly (ExplainedDifference & { readonly scenario: string; readonly path: string })[] = [
  ...['return', 'error', 'return[0].state'].flatMap((what) =>
    (what === 'return[0].state' ? [2] : [1, 3]).flatMap((step) =>
      (['source', 'destination'] as const).map((end) => ({
        scenario: `capability block on a ${end}`,
        path: `steps[${step}].${what}`,
        because: "4: a build without block migration, which Debian's 7.2 has",
      })),
    ),
  ),
  {
    scenario: 'a copy is cancelled',
    path: 'events.source',
    because: '8: a status never follows itself; QEMU announces cancelling once more for a second migrate_cancel',
  },
  {
    scenario: 'the source is told to quit while memory is copied',
    path: 'events.source',
    because: '2.3: the end is awaited, so that cancelled is announced before the process goes',
  },
];

const fits = (pattern: string | RegExp, text: string): boolean =>
  typeof pattern === 'string' ? pattern === text : pattern.test(text);

export function differenceFor(scenario: string, { path, qemu, godwit }: Difference): ExplainedDifference | undefined {
  return [...DELIBERATE, ...VERSION_TABLE].find(
    (entry) =>
      fits(entry.scenario, scenario) &&
      fits(entry.path, path) &&
      (entry.qemu === undefined || entry.qemu === qemu) &&
      (entry.godwit === undefined || entry.godwit === godwit),
  );
}

/** Entries that nothing needed: what they explain does not differ any more. */
export function unusedDifferences(used: ReadonlySet<unknown>): ExplainedDifference[] {
  return [...DELIBERATE, ...VERSION_TABLE].filter((entry) => !used.has(entry));
}
