// SPDX-License-Identifier: Apache-2.0
/** Where Godwit deliberately says something else than QEMU 7.2, each with the section that justifies it. */
import type { Difference } from './compare.ts';

export interface ExplainedDifference {
  /** Names of scenarios. */
  readonly scenario: string | RegExp;
  /** Of the reply, as in `steps[3].error.desc`. */
  readonly path: string | RegExp;
  /** Section of qmp-migration.md, and why. */
  readonly because: string;
}

/** What the version tables say: Godwit has the shape of 8.2/9.0, the peer here is 7.2. */
export const VERSION_TABLE: readonly ExplainedDifference[] = [];

/** Everything else: exact names and paths. */
export const DELIBERATE: readonly ExplainedDifference[] = [];

const fits = (pattern: string | RegExp, text: string): boolean =>
  typeof pattern === 'string' ? pattern === text : pattern.test(text);

export function differenceFor(scenario: string, { path }: Difference): ExplainedDifference | undefined {
  return [...DELIBERATE, ...VERSION_TABLE].find((entry) => fits(entry.scenario, scenario) && fits(entry.path, path));
}

/** Entries that nothing needed: what they explain does not differ any more. */
export function unusedDifferences(used: ReadonlySet<unknown>): ExplainedDifference[] {
  return [...DELIBERATE, ...VERSION_TABLE].filter((entry) => !used.has(entry));
}
