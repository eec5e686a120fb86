// SPDX-License-Identifier: Apache-2.0
// The test suites in the order in which they run. A suite is the directory tests/NAME.

export interface Suite {
  readonly name: string;
  /** What it should take at most on 2 processors. */
  readonly budgetMinutes: number;
  /** Runs machines: its test files run one at a time. */
  readonly realMachines: boolean;
}

export const suites: readonly Suite[] = [
  { name: 'unit', budgetMinutes: 3, realMachines: false },
  { name: 'native', budgetMinutes: 3, realMachines: true },
  { name: 'engine', budgetMinutes: 5, realMachines: true },
  { name: 'interop', budgetMinutes: 7, realMachines: true },
  { name: 'faults', budgetMinutes: 5, realMachines: true },
  { name: 'e2e', budgetMinutes: 7, realMachines: true },
];

/** A suite is ended, and counts as failed, when it takes this many times its budget. */
export const LIMIT_FACTOR = 3;

/** How much more the long tests of a suite may take. */
export const LONG_FACTOR = 12;
